"""The engine that runs requests with vLLM: server, adapters, the worker that changes weights."""
