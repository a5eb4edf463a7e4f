// Command cluster builds and runs a whole Kubernetes on this machine for tests, with nothing left behind:
//
//	cluster missing                        the system packages that are missing, one on each line
//	cluster build                          make what a cluster consists of, once for each version; ends with 3 where
//	                                       no cluster can run
//	cluster run [--simulate N] COMMAND…    run a command in a new cluster, with KUBECONFIG set
//	cluster kill|start|restart SERVER      inside: do that to a server, such as kubelet, as kill -9 does
//	cluster kill-pod UID                   inside: kill every process of a pod
//
// It needs Linux and root, and the packages in packages.txt. The module is apart from MetaML's own, so that servers
// never are among the product's dependencies. Its tests run in one cluster, which TestMain starts.
package main
