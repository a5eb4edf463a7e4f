package run

import "slices"

// BuildStep is a part of making the image of a run, as it is at one moment.
type BuildStep struct {
	Name    string  `json:"name"`            // the same as long as it is the same step: "resolve", "load", "send"
	Text    string  `json:"text"`            // what it does: "resolving packages for linux/amd64"
	Done    int64   `json:"done,omitempty"`  // bytes of Total
	Total   int64   `json:"total,omitempty"` // 0: nobody counts
	Seconds float64 `json:"seconds"`         // since it began
	State   Phase   `json:"state"`           // running, succeeded or failed
}

// ModelStep is the name of the step that fetches the model of a server, which is no part of an image.
const ModelStep = "model"

// Build are the steps of making an image, in the order in which they began.
type Build []BuildStep

// Apply adds what is known of a step, in the place of what was known of it.
func (b *Build) Apply(s BuildStep) {
	at := slices.IndexFunc(*b, func(known BuildStep) bool { return known.Name == s.Name })
	switch {
	case at < 0:
		*b = append(*b, s)
	case !(*b)[at].State.Final() || s.State.Final():
		(*b)[at] = s
	}
}

// Seconds is how long all of it took.
func (b Build) Seconds() float64 {
	var all float64
	for _, s := range b {
		all += s.Seconds
	}
	return all
}
