"""Images, videos, webcams and folders."""
