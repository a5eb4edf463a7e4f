// Package ship is what a run takes along to a cluster: its program without what must stay on this machine ([Program]),
// and the programs of ours that are executed there ([Find]). Both are bytes that travel in [Parts].
//
// Read [Program] first. It may import deployer/pod and deployer/folder.
package ship

import (
	"slices"
)

// PartSize is how long a part may be, in bytes: with room for names, what one object of a cluster holds (1 MiB).
const PartSize = 960 << 10

// Parts cuts data into pieces that objects of a cluster hold, at least one.
func Parts(data []byte) [][]byte {
	if len(data) == 0 {
		return [][]byte{{}}
	}
	return slices.Collect(slices.Chunk(data, PartSize))
}
