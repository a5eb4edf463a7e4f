package inside

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// AuditLog is the file in which the API server notes each request that writes.
func (c Cluster) AuditLog() string { return "/var/log/audit.log" }

// Write is a request that wrote, or tried to.
type Write struct {
	Verb      string // create, update, patch, delete or deletecollection
	User      string
	Agent     string // the program that asked
	Namespace string
	Resource  string // in the plural, with /SUBRESOURCE if there is one
	Name      string
	Code      int // the answer's HTTP status
	At        time.Time
}

// Writes gives every request that wrote, in the order in which they were answered.
func (c Cluster) Writes() ([]Write, error) { return writes(c.AuditLog()) }

func writes(path string) ([]Write, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read what was written: %w", err)
	}
	defer file.Close()
	var all []Write
	for lines := bufio.NewReader(file); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return all, nil // a line without an end is not whole yet
		}
		if err != nil {
			return nil, fmt.Errorf("read what was written: %w", err)
		}
		var event struct {
			Verb           string
			UserAgent      string
			User           struct{ Username string }
			ObjectRef      struct{ Resource, Subresource, Namespace, Name string }
			ResponseStatus struct{ Code int }
			StageTimestamp time.Time
		}
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("read what was written: %w", err)
		}
		resource := event.ObjectRef.Resource
		if event.ObjectRef.Subresource != "" {
			resource += "/" + event.ObjectRef.Subresource
		}
		all = append(all, Write{
			event.Verb, event.User.Username, event.UserAgent, event.ObjectRef.Namespace, resource, event.ObjectRef.Name,
			event.ResponseStatus.Code, event.StageTimestamp,
		})
	}
}
