"""The engine that runs requests with vLLM: server, adapters, and the worker that changes weights."""
