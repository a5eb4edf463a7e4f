package launch

import (
	"errors"
	"fmt"

	"github.com/metaml/metaml/internal/usererror"
)

// Message is an error as people read it, with the place in their code where it has one.
func Message(err error) string {
	var user *usererror.Error
	if !errors.As(err, &user) || user.Line == 0 {
		return err.Error()
	}
	return usererror.Lines(fmt.Sprintf("%s (cell %d, line %d)", user.Text, user.Cell, user.Line), user.Hint)
}
