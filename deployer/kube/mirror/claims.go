package mirror

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/metaml/metaml/deployer/folder"
	"github.com/metaml/metaml/deployer/run"
)

// claims are the pods whose attempts are in the record. The Job controller does not count the pods that it deletes when
// a Job is suspended, as a queue does that needs the room: the next pod says that it runs the same attempt.
type claims struct {
	folder folder.Run
	pods   map[run.AttemptID]types.UID // "": nobody's
}

// number gives a pod the next attempt, where the one that it says is another pod's.
func (c *claims) number(j *jobSeen, trials int) {
	pods := slices.Clone(j.pods)
	slices.SortStableFunc(pods, func(a, b *corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	for _, p := range pods {
		said, ok := j.rows.id(p, trials)
		if !ok {
			continue
		}
		id := said
		for pod := c.pod(id); pod != "" && pod != p.UID; pod = c.pod(id) {
			id.Number++
		}
		if began(p) {
			c.pods[id] = p.UID
		}
		if id == said {
			continue
		}
		if j.ids == nil {
			j.ids = map[types.UID]run.AttemptID{}
		}
		j.ids[p.UID] = id
	}
}

// pod is the one of an attempt. It is noted with how far the attempt's log was copied.
func (c *claims) pod(id run.AttemptID) types.UID {
	pod, read := c.pods[id]
	if !read {
		pod = readPlace(c.folder, id).Pod
		c.pods[id] = pod
	}
	return pod
}
