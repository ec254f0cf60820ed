package lab

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Port blocks lie below the range that the kernel hands out by itself, so that no
// socket bound to port 0 can take one.
const (
	firstPort  = 10000
	portBlocks = 1000
	blockSize  = 10 // a baresip takes its SIP port and the next
)

// portBlock reserves ten neighbouring loopback ports until the test ends and
// returns the first. The last is held open as the reservation, which other test
// processes see too; the first nine are free for whatever the caller starts.
func portBlock(tb testing.TB) int {
	tb.Helper()
	for range 200 {
		base := firstPort + blockSize*rand.IntN(portBlocks)
		held, err := net.Listen("tcp", loopback(base+blockSize-1))
		if err != nil {
			continue
		}
		if !free(base) {
			held.Close()
			continue
		}
		tb.Cleanup(func() { held.Close() })
		return base
	}
	tb.Fatal("no free block of ten loopback ports between 10000 and 19999")
	return 0
}

// free reports whether nobody, a program that knows no reservations included, has a port of the block.
func free(base int) bool {
	for port := base; port < base+blockSize-1; port++ {
		t, err := net.Listen("tcp", loopback(port))
		if err != nil {
			return false
		}
		t.Close()
		u, err := net.ListenPacket("udp", loopback(port))
		if err != nil {
			return false
		}
		u.Close()
	}
	return true
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
