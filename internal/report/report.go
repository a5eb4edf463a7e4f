// Package report says what runs and servers are: for people as text, and for programs as the JSON of `metaml runs`,
// `metaml show` and whoever else lists them. It reads them through a client and starts nothing.
//
// Read [Entry], [Detail] and [ServerDetail] first: their fields are the JSON. [Runs], [Output.Run] and [Output.Server]
// are the text, [ServerLogs] is what a server printed. The package imports the deployer, its view, and
// internal/launch/watch.
package report
