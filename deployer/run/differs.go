package run

import (
	"cmp"
	"fmt"
)

// aboutTheRun are the settings that make a running run another one, where they are not in its key. What only says how
// to show or find it (into, detach, again …) is not among them.
var aboutTheRun = []string{
	"parallelism", "retries", "timeout", "objective", "seed", "cwd", "fresh_process", "tensorboard", "notify",
	"cpu", "memory", "gpu", "gpu_type", "include", "service_account", "image_pull_secret", "node_selector",
	"toleration", "queue", "start_timeout", "strict", "agent_image", "repository", "image_name", "builder",
	"pull_repository", "load", "publish", "base_mirror", "compression", "record", "keep",
	"output_repository", "registry_secret",
}

// Differs names every setting that an active run has otherwise than a submission that attaches to it, a sentence
// each. None is applied.
func Differs(active, submitted Spec) []string {
	value := func(s Spec, name string) (words string, chosen bool) {
		for _, v := range s.Settings {
			if v.Name == name {
				return v.Words(), v.Origin != "default" && v.Origin != "session"
			}
		}
		return "", false
	}
	var differ []string
	for _, name := range aboutTheRun {
		was, wasChosen := value(active, name)
		is, isChosen := value(submitted, name)
		if was != is && (wasChosen || isChosen) {
			differ = append(differ, fmt.Sprintf("%s is %s in the active run and stays so (asked: %s)", name,
				cmp.Or(was, "not set"), cmp.Or(is, "not set")))
		}
	}
	return differ
}
