"""What `hawse doctor` looks at. Each module looks at one subject and returns findings; none changes anything."""
