__import__("sys").path.insert(0, "")  # a notebook imports from its working directory
