package folder

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// replicas is replicas.json.
type replicas struct {
	Replicas int       `json:"replicas"` // 0: as many as the revisions say
	Time     time.Time `json:"time"`
}

// ReadReplicas is how many replicas of a server were requested last, 0 being as many as its revisions say; ok is false
// where nobody has.
func (r Run) ReadReplicas() (n int, ok bool) {
	var wanted replicas
	data, err := os.ReadFile(r.ReplicasFile())
	if err != nil || json.Unmarshal(data, &wanted) != nil || wanted.Replicas < 0 {
		return 0, false
	}
	return wanted.Replicas, true
}

// WriteReplicas requests so many. It is on the disk when it returns.
func (r Run) WriteReplicas(n int) error {
	err := r.withReserve(func() error {
		return ReplaceJSON(r.ReplicasFile(), replicas{Replicas: n, Time: time.Now().UTC()})
	})
	if err != nil {
		return fmt.Errorf("request %d replicas: %w", n, err)
	}
	dir, err := os.Open(filepath.Dir(r.ReplicasFile()))
	if err != nil {
		return fmt.Errorf("request %d replicas: %w", n, err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("request %d replicas: %w", n, err)
	}
	return nil
}
