package requirements_test

import (
	"context"
	"fmt"

	"github.com/metaml/metaml/converter/requirements"
)

// Without an interpreter, names are known, and the versions that the notebook asks pip for.
func ExampleScript_Resolve() {
	imports, err := requirements.Imports(`import numpy as np
from sklearn.svm import SVC
from PIL import Image
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	script := requirements.Script{
		Imports: imports,
		Asked:   []requirements.Asked{{Kind: requirements.Pip, Text: "-q pillow==11.0.0", Cell: 1}},
		Python:  "3.12.4",
	}
	set, err := script.Resolve(context.Background(), "")
	if err != nil {
		fmt.Println(err)
		return
	}
	inline, err := set.Inline("")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(set.Requirements(), "\n", inline)
	// Output:
	// # Made by metaml-nbconvert from the imports and the cells that install something.
	// # No interpreter was asked: what has no version is unpinned.
	//
	// numpy
	//     # import numpy, line 1
	//     # unpinned
	// pillow==11.0.0
	//     # pip install, cell 1; import PIL, line 3
	// scikit-learn
	//     # from sklearn.svm import SVC, line 2
	//     # unpinned
	//
	// # /// script
	// # requires-python = '>=3.12'
	// # dependencies = [
	// #   'numpy',
	// #   'pillow==11.0.0',
	// #   'scikit-learn'
	// # ]
	// # ///
}

func ExampleImports() {
	imports, err := requirements.Imports(`import numpy as np
try:
    import cupy
except ImportError:
    cupy = None
if TYPE_CHECKING:
    import pandas
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, i := range imports {
		fmt.Println(i.Module, i.Line, i.Optional)
	}
	// Output:
	// numpy 1 false
	// cupy 3 true
}

func ExampleDeclared() {
	d, err := requirements.Declared(`# /// script
# requires-python = ">=3.11"
# dependencies = ["rich>=13"]
# ///
import rich
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(d.Python, d.Dependencies)
	// Output:
	// >=3.11 [rich>=13]
}
