package broker

import "net"

// advertised is a listener whose address, which clients are told, is another one:
// a name that leads here. kfake tells them its listener's own.
type advertised struct {
	net.Listener
	addr string
}

// Addr is what clients are told.
func (a *advertised) Addr() net.Addr { return advertisedAddr(a.addr) }

type advertisedAddr string

func (a advertisedAddr) Network() string { return "tcp" }
func (a advertisedAddr) String() string  { return string(a) }
