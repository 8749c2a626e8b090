"""Methods from the papers around AIMMerging, one file each where a method needs parts of its own."""
