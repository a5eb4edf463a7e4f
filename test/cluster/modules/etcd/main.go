// Command etcd is the database of the API server. (go install refuses etcd's own, whose go.mod has replace lines.)
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
