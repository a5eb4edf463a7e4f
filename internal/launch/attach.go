package launch

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/metaml/metaml/internal/usererror"
)

// AttachFlags adds the options of `metaml attach` and `%metaml attach`. check refuses a wrong value once they are read.
func AttachFlags(f *pflag.FlagSet) (interrupt *string, check func() error) {
	interrupt = f.String("interrupt", "detach", "what ■ and Ctrl-C do to the run: stop it, or detach from it")
	return interrupt, func() error {
		if *interrupt != "stop" && *interrupt != "detach" {
			return usererror.New(usererror.CodeOption, "--interrupt takes stop or detach, not %q", *interrupt)
		}
		return nil
	}
}

// AttachLine reads what stands behind `%metaml attach`; without a name it is the last run.
func AttachLine(line string) (name, interrupt string, err error) {
	f := pflag.NewFlagSet("attach", pflag.ContinueOnError)
	f.Usage = func() {}
	means, check := AttachFlags(f)
	if err := f.Parse(strings.Fields(line)); err != nil {
		return "", "", usererror.New(usererror.CodeOption, "%s",
			err).With("Write it as %%metaml attach [RUN] [--interrupt stop|detach].")
	}
	if name = strings.Join(f.Args(), " "); name == "" {
		name = "last"
	}
	return name, *means, check()
}
