// Package agent runs trials as processes: it starts the Python loader, has it fork trials or starts fresh processes
// where a program may not be forked, keeps their output and their events, and sees to it that nothing is left of an
// attempt when it is said to have ended (docs/internals/engine.md).
//
// Read [Supervisor] first, then attempt.go: the life of one attempt. The package implements deployer/engine/train's
// Supervisor interface without importing that package's engine; cmd/metaml-agent joins the two by a few lines.
//
// A server's worker is a trial that stays: its number is the trial's, and each time it is started is an attempt.
//
// It honours these variables, which it sets for the processes it starts: PYTHONPATH (the module's folder in front),
// _METAML_TOKEN (marks the processes of an attempt), _METAML_RUN, _METAML_BIN (the `metaml` beside us), of a server
// _METAML_MODEL, and for trials _METAML_TRIAL, _METAML_ATTEMPT, _METAML_SEED, _METAML_OUTPUT and CUDA_VISIBLE_DEVICES.
// It is the one place of a process that may start children: it reaps them all ([Processes]).
//
// It imports agent/frame, deployer/run, deployer/folder and deployer/kept alone.
package agent
