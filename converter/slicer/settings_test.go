package slicer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// settingsOfModules have the entry f in their last cell, and name what comes along with it. A setting belongs to its
// module, whichever name and time that is reached by.
var settingsOfModules = []struct{ name, cells, want string }{
	{
		"imported again", "import pandas as pd\npd.options.display.max_rows = 7\n---\n" +
			"import numpy as np, pandas as pd\n" +
			"---\ndef f(): return pd",
		"import pandas as pd\npd.options.display.max_rows = 7\nimport numpy as np, pandas as pd",
	},
	{
		"a part imported later", "import torch\ntorch.manual_seed(0)\n---\nfrom torch import nn\n---\n" +
			"def f(): return nn",
		"import torch\ntorch.manual_seed(0)\nfrom torch import nn",
	},
	{
		"a part imported before", "from torch import nn\nimport torch\ntorch.set_default_dtype(torch.float64)\n---\n" +
			"def f(): return nn",
		"from torch import nn\nimport torch\ntorch.set_default_dtype(torch.float64)",
	},
	{
		"imported inside", "import pandas as pd\npd.set_option('display.max_rows', 7)\n---\n" +
			"def f():\n    import pandas as pd\n    return pd",
		"import pandas as pd\npd.set_option('display.max_rows', 7)",
	},
	{
		"imported inside of a helper", "import pandas as pd\npd.options.mode.copy_on_write = True\n---\n" +
			"def g():\n    from pandas import DataFrame\n    return DataFrame\n---\ndef f(): return g()",
		"import pandas as pd\npd.options.mode.copy_on_write = True\n" +
			"def g():\n    from pandas import DataFrame\n    return DataFrame",
	},
	{
		"another part of the package", "from PIL import ImageFile\nImageFile.LOAD_TRUNCATED_IMAGES = True\n---\n" +
			"from PIL import Image\n---\ndef f(): return Image",
		"from PIL import ImageFile\nImageFile.LOAD_TRUNCATED_IMAGES = True\nfrom PIL import Image",
	},
	{
		"by what uses it", "from PIL import ImageFile\nImageFile.LOAD_TRUNCATED_IMAGES = True\n---\n" +
			"import torchvision\n---\ndef f(): return torchvision",
		"from PIL import ImageFile\nImageFile.LOAD_TRUNCATED_IMAGES = True\nimport torchvision",
	},
	{
		"a module of the user's", "import my_config\nmy_config.LR = 5\n---\nimport my_config\n---\n" +
			"def f(): return my_config.LR",
		"import my_config\nmy_config.LR = 5\nimport my_config",
	},
	{
		"setattr", "import my_config\nsetattr(my_config, 'LR', 5)\n---\nfrom my_config import model\n---\n" +
			"def f(): return model()",
		"import my_config\nsetattr(my_config, 'LR', 5)\nfrom my_config import model",
	},
	{
		"setattr of a part", "from pandas import DataFrame\nsetattr(DataFrame, 'total', 1)\n---\n" +
			"import pandas as pd\n" +
			"---\ndef f(): return pd",
		"from pandas import DataFrame\nsetattr(DataFrame, 'total', 1)\nimport pandas as pd",
	},
	{
		"a class that is patched", "import torch\ndef g(self): return 1\ntorch.nn.Module.one = g\n---\n" +
			"from torch import nn\n---\ndef f(): return nn.Linear(1, 1).one()",
		"import torch\ndef g(self): return 1\ntorch.nn.Module.one = g\nfrom torch import nn",
	},
	{
		"a class that is patched by another name",
		"from pandas import DataFrame\nDataFrame.total = lambda d: 1\n---\ndef f():\n    import pandas\n" +
			"    return pandas",
		"from pandas import DataFrame\nDataFrame.total = lambda d: 1",
	},
	{
		"an accessor", "import pandas as pd\n@pd.api.extensions.register_dataframe_accessor('geo')\n" +
			"class Geo: pass\n---\n" +
			"from pandas import DataFrame\n---\ndef f(): return DataFrame",
		"import pandas as pd\n@pd.api.extensions.register_dataframe_accessor('geo')\nclass Geo: pass\n" +
			"from pandas import DataFrame",
	},
	{
		"a name that is gone", "import numpy as np\nnp.float = float\n---\ndef f():\n    import numpy\n" +
			"    return numpy",
		"import numpy as np\nnp.float = float",
	},
	{
		"an alias", "import numpy\nimport numpy as np\nnumpy.random.seed(0)\n---\nfrom numpy.random import rand\n" +
			"---\n" +
			"def f(): return rand()",
		"import numpy\nnumpy.random.seed(0)\nfrom numpy.random import rand",
	},
	{
		"a seed of several", "import keras\nkeras.utils.set_random_seed(1)\n---\nimport tensorflow as tf\n---\n" +
			"def f(): return tf",
		"import keras\nkeras.utils.set_random_seed(1)\nimport tensorflow as tf",
	},
	{
		"a seed of a library that is another's",
		"import pytorch_lightning as pl\npl.seed_everything(1)\n---\nimport random\n---\n" +
			"def f(): return random.random()",
		"import pytorch_lightning as pl\npl.seed_everything(1)\nimport random",
	},
	{
		"a seed by a function that was imported", "from transformers import set_seed\nset_seed(5)\n---\n" +
			"def f():\n    import torch\n    return torch.rand(1)",
		"from transformers import set_seed\nset_seed(5)",
	},
	{
		"scikit-learn", "import sklearn\nsklearn.set_config(transform_output='pandas')\n---\n" +
			"from sklearn.preprocessing import StandardScaler\n---\ndef f(): return StandardScaler()",
		"import sklearn\nsklearn.set_config(transform_output='pandas')\n" +
			"from sklearn.preprocessing import StandardScaler",
	},
	{
		"matplotlib", "import matplotlib\nmatplotlib.use('Agg')\nimport matplotlib.pyplot as plt\n" +
			"plt.style.use('ggplot')\nplt.rcParams['figure.dpi'] = 80\n---\n" +
			"def f():\n    from matplotlib import pyplot\n    return pyplot",
		"import matplotlib\nmatplotlib.use('Agg')\nimport matplotlib.pyplot as plt\nplt.style.use('ggplot')\n" +
			"plt.rcParams['figure.dpi'] = 80",
	},
	{
		"import_module", "import importlib\nimportlib.import_module('my_config').LR = 5\n---\nimport my_config\n---\n" +
			"def f(): return my_config.LR",
		"import importlib\nimportlib.import_module('my_config').LR = 5\nimport my_config",
	},
	{
		"import_module with a name", "from importlib import import_module\nc = import_module('my_config')\n" +
			"c.LR = 5\n---\n" +
			"def f():\n    from my_config import LR\n    return LR",
		"from importlib import import_module\nc = import_module('my_config')\nc.LR = 5",
	},
	{
		"__import__", "__import__('my_config').LR = 5\n---\nimport my_config\n---\ndef f(): return my_config.LR",
		"__import__('my_config').LR = 5\nimport my_config",
	},
	{
		"sys.modules", "import my_config\nimport sys\nsys.modules['my_config'].LR = 5\n---\n" +
			"import my_config as c\n---\n" +
			"def f(): return c.LR",
		"import my_config\nimport sys\nsys.modules['my_config'].LR = 5\nimport my_config as c",
	},
	{
		"by a function", "import pandas as pd\ndef configure():\n    pd.set_option('display.max_rows', 7)\n---\n" +
			"configure()\n" +
			"---\ndef f():\n    import pandas\n    return pandas",
		"import pandas as pd\ndef configure():\n    pd.set_option('display.max_rows', 7)\nconfigure()",
	},
	{
		"by a function that imports", "def configure():\n    import pandas as pd\n" +
			"    pd.options.display.max_rows = 7\n" +
			"configure()\n---\nimport pandas as pd\n---\ndef f(): return pd",
		"def configure():\n    import pandas as pd\n    pd.options.display.max_rows = 7\nconfigure()\n" +
			"import pandas as pd",
	},
	{
		"by a function that seeds", "def seed(n):\n    import random, numpy as np\n    random.seed(n)\n" +
			"    np.random.seed(n)\n" +
			"seed(3)\n---\nimport numpy as np\n---\ndef f(): return np.random.rand()",
		"def seed(n):\n    import random, numpy as np\n    random.seed(n)\n    np.random.seed(n)\nseed(3)\n" +
			"import numpy as np",
	},
	{
		"by a method of a class", "import pandas as pd\nclass Setup:\n    @staticmethod\n    def run(n):\n" +
			"        pd.options.display.max_rows = n\n    @classmethod\n    def other(cls):\n        cls.run(3)\n" +
			"Setup.run(7)\n---\nimport pandas as pd\n---\ndef f(): return pd",
		"import pandas as pd\nclass Setup:\n    @staticmethod\n    def run(n):\n" +
			"        pd.options.display.max_rows = n\n    @classmethod\n    def other(cls):\n        cls.run(3)\n" +
			"Setup.run(7)\nimport pandas as pd",
	},
	{
		"by a method of an object", "import pandas as pd\nclass Setup:\n    def run(self):\n" +
			"        pd.options.display.max_rows = 7\nSetup().run()\n---\nimport pandas as pd\n---\ndef f(): return pd",
		"import pandas as pd\nclass Setup:\n    def run(self):\n        pd.options.display.max_rows = 7\n" +
			"Setup().run()\nimport pandas as pd",
	},
	{
		"the environment, from a file", "from dotenv import load_dotenv\nload_dotenv('demo.env')\n---\n" +
			"def f(): return 1",
		"from dotenv import load_dotenv\nload_dotenv('demo.env')",
	},
	{
		"the environment, from a file that is found", "import dotenv\n" +
			"ok = dotenv.load_dotenv(dotenv.find_dotenv())\n---\n" +
			"def f(): return 1", "import dotenv\nok = dotenv.load_dotenv(dotenv.find_dotenv())",
	},
	{
		"the environment, by a function", "import os\ndef configure(**k):\n    os.environ.update(k)\n" +
			"configure(A='1')\n---\n" +
			"def f(): return 1", "import os\ndef configure(**k):\n    os.environ.update(k)\nconfigure(A='1')",
	},
	{
		"the environment, by another name", "from os import environ as e, putenv\ne |= {'A': '1'}\n" +
			"putenv('B', '2')\n---\n" +
			"def f(): return 1", "from os import environ as e, putenv\ne |= {'A': '1'}\nputenv('B', '2')",
	},
	{
		"another module's stay behind", "import pandas as pd\npd.options.display.max_rows = 7\n---\nimport json\n" +
			"---\n" +
			"def f(): return json", "import json",
	},
	{
		"at the end of a cell", "import mlflow\nmlflow.set_tracking_uri('x')\nmlflow.autolog()\n---\n" +
			"def f(): return mlflow",
		"import mlflow\nmlflow.set_tracking_uri('x')\nmlflow.autolog()",
	},
	{
		"at the end of a cell, by a verb", "import torch, spacy\ntorch.use_deterministic_algorithms(True)\n---\n" +
			"spacy.prefer_gpu()\n---\ndef f(): return torch, spacy",
		"import torch, spacy\ntorch.use_deterministic_algorithms(True)\nspacy.prefer_gpu()",
	},
	{
		"a question at the end of a cell", "import mlflow, torch\ntorch.cuda.is_available()\n---\n" +
			"mlflow.get_tracking_uri()\n---\nmlflow.search_runs()\n---\ndef f(): return torch, mlflow",
		"import mlflow, torch",
	},
	{
		"what only draws is no setting", "import xgboost as xgb\nm = xgb.XGBClassifier()\nm.fit([[1]], [1])\n" +
			"xgb.plot_importance(m);\n---\nfrom xgboost import XGBRegressor\n---\ndef f(): return XGBRegressor",
		"from xgboost import XGBRegressor",
	},
}

func TestASettingBelongsToItsModule(t *testing.T) {
	for _, c := range settingsOfModules {
		t.Run(c.name, func(t *testing.T) {
			last := c.cells[strings.LastIndex(c.cells, "\n---\n")+len("\n---\n"):]
			wantText(t, texts(of(t, live(c.cells), Options{})), c.want+"\n"+last)
		})
	}
}

func TestSettingsReachWhatLocalModulesImportAndComeFromThem(t *testing.T) {
	files := map[string]string{
		"helpers.py": "import inner\ndef mean(): return inner.frame().mean()\n",
		"inner.py":   "import pandas\ndef frame(): return pandas.DataFrame()\n",
		"my_setup.py": "import pandas as pd\ndef configure(n):\n    other(n)\ndef other(n):\n" +
			"    pd.options.display.max_rows = n\ndef nothing(): return 1\n",
		"at_import.py": "import pandas as pd\npd.set_option('display.max_rows', 7)\n",
		"seeds.py": "import random\ndef seed_all(n):\n    import numpy as np\n" +
			"    random.seed(n); np.random.seed(n)\n",
		"my_env.py":       "import os\nos.environ['ONE'] = '1'\n",
		"pkg/__init__.py": "from .sub import setup\nfrom .more import *\n",
		"pkg/sub.py":      "import torch\ndef setup(s):\n    torch.manual_seed(s)\n",
		"pkg/more.py": "import pandas as pd\nclass Config:\n    @staticmethod\n    def rows(n):\n" +
			"        pd.options.display.max_rows = n\n    def __init__(self):\n        Config.rows(3)\n",
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "pkg"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ name, cells, want string }{
		{
			"a module imports what was set", "import pandas as pd\npd.options.display.max_rows = 7\n---\n" +
				"import helpers\n" +
				"---\ndef f(): return helpers.mean()",
			"import pandas as pd\npd.options.display.max_rows = 7\nimport helpers",
		},
		{
			"a function of a module sets it", "import my_setup\nmy_setup.configure(7)\nmy_setup.nothing()\n---\n" +
				"import pandas as pd\n---\ndef f(): return pd",
			"import my_setup\nmy_setup.configure(7)\nimport pandas as pd",
		},
		{
			"a function that was imported sets it", "from my_setup import configure as c\nx = c(7)\n---\n" +
				"def f():\n    import pandas as pd\n    return pd",
			"from my_setup import configure as c\nx = c(7)",
		},
		{
			"a function of a module seeds", "from seeds import seed_all\nseed_all(7)\n---\nimport numpy as np\n---\n" +
				"def f(): return np.random.rand()",
			"from seeds import seed_all\nseed_all(7)\nimport numpy as np",
		},
		{
			"a function that its package has imported", "from pkg import setup\nsetup(3)\n---\n" +
				"from torch import nn\n---\n" +
				"def f(): return nn",
			"from pkg import setup\nsetup(3)\nfrom torch import nn",
		},
		{
			"a method", "import pkg\npkg.Config.rows(3)\n---\nimport pandas as pd\n---\ndef f(): return pd",
			"import pkg\npkg.Config.rows(3)\nimport pandas as pd",
		},
		{
			"making an object", "from pkg.more import Config\nc = Config()\n---\nimport pandas as pd\n---\n" +
				"def f(): return pd",
			"from pkg.more import Config\nc = Config()\nimport pandas as pd",
		},
		{
			"an import sets it", "import at_import\nimport json\n---\nimport pandas as pd\n---\ndef f(): return pd",
			"import at_import\nimport pandas as pd",
		},
		{"an import sets the environment", "import my_env\nimport json\n---\ndef f(): return 1", "import my_env"},
		{"an import sets what nobody uses", "import at_import\n---\nimport json\n---\n" +
			"def f(): return json", "import json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := live(c.cells)
			doc.Cwd, doc.Path = dir, []string{""}
			last := c.cells[strings.LastIndex(c.cells, "\n---\n")+len("\n---\n"):]
			wantText(t, texts(of(t, doc, Options{})), c.want+"\n"+last)
		})
	}
}

func TestWhatSeedsByAnotherNameSeedsTheProgramItself(t *testing.T) {
	for cells, want := range map[string]string{
		"import numpy as np\nrng = np.random\nrng.seed(3)\n---\ndef f(): return np.random.rand()":         "numpy",
		"import torch\nseed = torch.manual_seed\nseed(3)\n---\ndef f(): return torch.rand(1)":             "torch",
		"import numpy as np\nr = np.random\nq = r\nq.seed(3)\n---\ndef f(): return np.random.rand()":      "numpy",
		"import numpy as np\nrng = np.random.default_rng\nr = rng(3)\n---\ndef f(): return np.random.x()": "",
	} {
		wantText(t, strings.Join(of(t, live(cells), Options{}).SelfSeeded, " "), want)
	}
}
