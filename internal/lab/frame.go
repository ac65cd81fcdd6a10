package lab

import (
	"encoding/binary"
	"net/netip"
)

// Offsets in a probe: Ethernet (RFC 894), IPv4 without options (RFC 791), ICMP echo (RFC 792), then our payload: the
// prober's number, so that probers do not read one another's answers, and the tick.
const (
	atIP      = 14
	atICMP    = atIP + 20
	atPayload = atICMP + 8
	frameSize = atPayload + 16

	etherTypeIPv4 = 0x0800
	protocolICMP  = 1
	echoReply     = 0
	echoRequest   = 8
)

// probe is an ICMP echo request for the floating address in a frame for one host, ready to be sent again and again.
type probe [frameSize]byte

// newProbe writes all of the frame that stays the same. The ICMP id is the host's index.
func newProbe(from, to [6]byte, source, floating netip.Addr, host int, prober uint64) *probe {
	p := new(probe)
	copy(p[0:], to[:])
	copy(p[6:], from[:])
	binary.BigEndian.PutUint16(p[12:], etherTypeIPv4)
	p[atIP] = 0x45
	binary.BigEndian.PutUint16(p[atIP+2:], frameSize-atIP)
	p[atIP+8] = 64
	p[atIP+9] = protocolICMP
	copy(p[atIP+12:], source.AsSlice())
	copy(p[atIP+16:], floating.AsSlice())
	binary.BigEndian.PutUint16(p[atIP+10:], checksum(p[atIP:atICMP]))
	p[atICMP] = echoRequest
	binary.BigEndian.PutUint16(p[atICMP+4:], uint16(host))
	binary.BigEndian.PutUint64(p[atPayload:], prober)
	return p
}

// at makes it the probe of that tick.
func (p *probe) at(tick uint64) []byte {
	binary.BigEndian.PutUint16(p[atICMP+6:], uint16(tick))
	binary.BigEndian.PutUint64(p[atPayload+8:], tick)
	p[atICMP+2], p[atICMP+3] = 0, 0
	binary.BigEndian.PutUint16(p[atICMP+2:], checksum(p[atICMP:]))
	return p[:]
}

// answer is what an echo reply says.
type answer struct {
	mac  [6]byte // who sent the frame
	host int     // whom we had asked
	tick uint64
}

// parseAnswer reads a frame off the wire; ok is false for whatever is not an answer to this prober.
func parseAnswer(frame []byte, floating netip.Addr, prober uint64) (a answer, ok bool) {
	if len(frame) < frameSize || binary.BigEndian.Uint16(frame[12:]) != etherTypeIPv4 || frame[atIP] != 0x45 ||
		frame[atIP+9] != protocolICMP || frame[atICMP] != echoReply {
		return answer{}, false
	}
	if source, _ := netip.AddrFromSlice(frame[atIP+12 : atIP+16]); source != floating {
		return answer{}, false
	}
	if binary.BigEndian.Uint64(frame[atPayload:]) != prober {
		return answer{}, false
	}
	return answer{
		mac:  [6]byte(frame[6:12]),
		host: int(binary.BigEndian.Uint16(frame[atICMP+4:])),
		tick: binary.BigEndian.Uint64(frame[atPayload+8:]),
	}, true
}

// checksum is the Internet checksum (RFC 1071) of an even number of bytes.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
