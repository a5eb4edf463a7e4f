// Package labextension is MetaML's extension of JupyterLab 4 and Jupyter Notebook 7, for `metaml install` and the
// wheel alike. Read remoteEntry.js, which says what it does, then [Files]. It imports the standard library alone.
package labextension

import (
	_ "embed" // for the script
	"encoding/json"
	"fmt"
)

// Name is the extension's name, and its folder in share/jupyter/labextensions.
const Name = "metaml"

//go:embed remoteEntry.js
var script []byte

// Files are the extension's files by their path in its folder. The script is requested anew by every page (Jupyter
// serves it with no-cache), so its name need not change with its content.
func Files(version string) map[string][]byte {
	return map[string][]byte{
		"package.json": document(map[string]any{
			"name":        Name,
			"version":     version,
			"description": "Shows the run under a cell again when its page was loaded again",
			"license":     "Apache-2.0",
			"jupyterlab": map[string]any{
				"extension": true,
				"_build":    map[string]string{"load": "static/remoteEntry.js", "extension": "./extension"},
			},
		}),
		"install.json": document(map[string]string{
			"packageManager": "python",
			"packageName":    "metaml",
			"uninstallInstructions": "Use your Python package manager (pip, conda, etc.) to uninstall the package " +
				"metaml",
		}),
		"static/remoteEntry.js": script,
	}
}

func document(value any) []byte {
	out, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("labextension: strings and booleans are JSON: %v", err))
	}
	return append(out, '\n')
}
