"""The instrument: Locust carries the load, an engine inside it drives the connections and keeps the time."""
