package sip

import (
	"net"
	"net/netip"
)

// guard is a net.PacketConn whose ReadFrom returns only SIP requests in
// canonical form from sources on the allow list. What it refuses is counted and
// never an error: an error would end the reader.
type guard struct {
	net.PacketConn
	allow  []netip.Prefix // as normalize returns them
	refuse func(verdict, netip.AddrPort)
	in     []byte // owned by the reader
	out    []byte // owned by the reader
}

func newGuard(conn net.PacketConn, allow []netip.Prefix, refuse func(verdict, netip.AddrPort)) *guard {
	return &guard{PacketConn: conn, allow: allow, refuse: refuse, in: make([]byte, maxDatagram+1)}
}

// ReadFrom implements net.PacketConn. Errors are the socket's own.
func (g *guard) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, addr, err := g.PacketConn.ReadFrom(g.in)
		if err != nil {
			return 0, addr, err
		}
		source := sourceOf(addr)
		v := unlisted
		if g.allowed(source.Addr()) {
			g.out, v = sanitize(g.out[:0], g.in[:n])
			if v == accepted && len(g.out) > len(p) {
				v = oversize
			}
		}
		if v == accepted {
			return copy(p, g.out), net.UDPAddrFromAddrPort(source), nil
		}
		g.refuse(v, source)
	}
}

func (g *guard) allowed(ip netip.Addr) bool {
	ip = ip.WithZone("") // a zoned address is in no prefix
	for _, p := range g.allow {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// sourceOf returns the address without the IPv4-mapped form that a dual-stack
// socket reports (RFC 4291 section 2.5.5.2); invalid if it is none.
func sourceOf(addr net.Addr) netip.AddrPort {
	if udp, ok := addr.(*net.UDPAddr); ok && udp != nil {
		ap := udp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// normalize turns ::ffff:192.0.2.0/120 into 192.0.2.0/24 and clears host bits.
func normalize(allow []netip.Prefix) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(allow))
	for _, p := range allow {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		out = append(out, p.Masked())
	}
	return out
}
