module github.com/metaml/metaml/test/cluster/modules/pause

go 1.26.8
