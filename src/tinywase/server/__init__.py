"""Extraction as a service: HTTP, WebSocket, and a page in the browser (extra `serve`)."""
