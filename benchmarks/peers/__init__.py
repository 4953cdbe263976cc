"""What our programs are measured against: the standard library's servers, plain asyncio, a naive Locust file."""
