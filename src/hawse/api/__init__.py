"""What is shown: REST, the compatibility views, the OpenXM listener and the web pages."""
