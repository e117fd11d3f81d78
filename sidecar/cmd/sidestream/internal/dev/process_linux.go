package dev

import "syscall"

// childAttr puts a child into a process group of its own, and has the kernel end
// it when this process is killed.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
