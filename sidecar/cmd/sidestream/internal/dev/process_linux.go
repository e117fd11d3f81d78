package dev

import "syscall"

// childAttr puts a child into a process group of its own, and has the kernel kill
// it when this process is killed: every part of the system can be killed at any
// time, and nothing must be left.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
