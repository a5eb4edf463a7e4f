package usererror

// Code says what kind of mistake an [Error] is. Codes are stable: programs may decide by them.
type Code string

// The codes. The comment of each is its line in docs/reference/errors.md.
const (
	CodeActive      Code = "active"      // the run is active, and only an ended one can be treated so
	CodeAgent       Code = "agent"       // a program of MetaML that executes trials was not found
	CodeAmbiguous   Code = "ambiguous"   // several runs begin with the name
	CodeBuilder     Code = "builder"     // a builder of images does not answer, is missing, or fails
	CodeCompletions Code = "completions" // the number of trials does not fit the hyperparameters
	CodeConfirm     Code = "confirm"     // the command would delete, and --yes was not given
	// the run folder is a copy or somebody else's, so nothing of it is executed
	CodeCopied          Code = "copied"
	CodeDamaged         Code = "damaged"          // the record of the run cannot be read
	CodeDecorator       Code = "decorator"        // a decorator of MetaML cannot be read from the source
	CodeDeleted         Code = "deleted"          // the run was deleted
	CodeDiskFull        Code = "disk-full"        // the disk or the quota is full
	CodeEnded           Code = "ended"            // the run has ended, and only an active one can be treated so
	CodeEnvironment     Code = "environment"      // an environment variable has no valid name or is reserved
	CodeExample         Code = "example"          // the example of a server cannot be used
	CodeExport          Code = "export"           // the function cannot become a Flask application
	CodeFile            Code = "file"             // the file is not there or is of no kind that can run
	CodeFinished        Code = "finished"         // nothing of the run is left to do
	CodeFolder          Code = "folder"           // the folder of runs cannot be made or used
	CodeHome            Code = "home"             // there is no home folder to keep runs in
	CodeHost            Code = "host"             // the server cannot listen on the host
	CodeHyperParameters Code = "hyper-parameters" // the hyperparameters are missing, empty or of a wrong type
	CodeImage           Code = "image"            // a run on a cluster has no image that it could run in
	CodeIndex           Code = "index"            // a package index does not answer, or does not have what it said
	CodeInstall         Code = "install"          // the kernel spec cannot be written
	CodeInternal        Code = "internal"         // a fault of MetaML itself
	CodeInteractive     Code = "interactive"      // the code needs a person who answers
	CodeKind            Code = "kind"             // the program is of another kind than was named
	CodeKubeconfig      Code = "kubeconfig"       // the kubeconfig leads to no cluster
	CodeLock            Code = "lock"             // what is installed here cannot be installed again for an image
	CodeLogin           Code = "login"            // the cluster does not accept the login, or its program is missing
	CodeMagic           Code = "magic"            // a magic has no meaning outside of the notebook
	CodeMetamlEnded     Code = "metaml-ended"     // `metaml` ended while it was needed
	CodeMetamlNotFound  Code = "metaml-not-found" // the kernel does not find the program `metaml`
	CodeModel           Code = "model"            // the run named by --model cannot give a model
	CodeMonitor         Code = "monitor"          // the monitor of a run did not start or ended
	CodeName            Code = "name"             // the name cannot be the name of a run
	CodeNamespace       Code = "namespace"        // the cluster has no such namespace
	CodeNoCell          Code = "no-cell"          // there is no such cell
	CodeNoCells         Code = "no-cells"         // the document has no executed cells
	CodeNoFunction      Code = "no-function"      // the function to run was not found
	CodeNoSource        Code = "no-source"        // what the function needs has no source that could run elsewhere
	CodeNotFound        Code = "not-found"        // there is no such run
	CodeObjective       Code = "objective"        // the objective cannot be decided by the metrics
	CodeOption          Code = "option"           // an option or a setting has no valid value
	CodeOutputs         Code = "outputs"          // the files of a trial are not kept
	CodeParameters      Code = "parameters"       // the parameters of the function do not fit what it gets
	CodePort            Code = "port"             // the port cannot be listened on
	CodeProgram         Code = "program"          // the program folder cannot be used
	CodePython          Code = "python"           // no Python interpreter that can be used was found
	CodePython2         Code = "python2"          // the cell is Python 2
	CodeQuota           Code = "quota"            // a quota of the namespace is used up
	CodeReady           Code = "ready"            // the revision of the server is ready already
	CodeRefused         Code = "refused"          // the cluster refuses what a run needs
	CodeRegistry        Code = "registry"         // a registry of images does not answer, or refuses
	CodeRequirements    Code = "requirements"     // the file of requirements cannot be used
	CodeResolve         Code = "resolve"          // the packages of an image cannot be found together
	CodeRevision        Code = "revision"         // the server has no such revision
	CodeRights          Code = "rights"           // the user may not do what a run needs in the namespace
	CodeSeed            Code = "seed"             // the seed is set in a way that --seed cannot decide
	CodeSettingsFile    Code = "settings-file"    // metaml.toml cannot be read
	CodeSyntax          Code = "syntax"           // the code is not valid Python
	CodeSystem          Code = "system"           // the system refused something that a run needs
	CodeTable           Code = "table"            // the table of hyperparameters cannot be read
	CodeTarget          Code = "target"           // there is no such target
	CodeTemporaryFolder Code = "temporary-folder" // the temporary folder cannot be used
	CodeTensorboard     Code = "tensorboard"      // TensorBoard is not there or has nothing to show
	CodeToken           Code = "token"            // the server has no token
	CodeTooLarge        Code = "too-large"        // the document, or what a run takes along, exceeds a limit
	CodeTooManyCells    Code = "too-many-cells"   // too many cells are in progress at the same time
	CodeTrial           Code = "trial"            // the run has no such trial
	CodeUnreachable     Code = "unreachable"      // the cluster does not answer
	CodeUsage           Code = "usage"            // the command line cannot be used
	CodeUV              Code = "uv"               // the program uv was not found or does not work
	CodeUnwritable      Code = "unwritable"       // a file or folder cannot be written
	CodeWith            Code = "with"             // the value named by --with cannot be handed over
)
