package run

import "strings"

// Name is what a run is called: "train-model-7" on this machine, "train-model-7@PLACE" elsewhere. With its place a name
// means one run, whatever else is called so; without it, one that a later run may take. So programs remember and show
// the whole name.
type Name struct {
	Run   string // series and ordinal, unique in its place
	Place string // "" is this machine
}

// ParseName reads a name as people type it. The name of a series holds no "@".
func ParseName(text string) Name {
	run, place, _ := strings.Cut(text, "@")
	return Name{Run: run, Place: place}
}

// String is the name that [ParseName] reads.
func (n Name) String() string {
	if n.Place == "" {
		return n.Run
	}
	return n.Run + "@" + n.Place
}

// CutTrial splits RUN:TRIAL into its parts; found says that there is a trial. A place may have colons of its own, so
// behind one only a number or "best" is a trial.
func CutTrial(text string) (name, trial string, found bool) {
	if !strings.Contains(text, "@") {
		return strings.Cut(text, ":")
	}
	last := strings.LastIndex(text, ":")
	if last < 0 {
		return text, "", false
	}
	trial = text[last+1:]
	if trial != "best" && (trial == "" || strings.Trim(trial, "0123456789") != "") {
		return text, "", false
	}
	return text[:last], trial, true
}
