"""The REST service: predictions over HTTP, by FastAPI and uvicorn."""
