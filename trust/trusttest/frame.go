package trusttest

import (
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
)

// maxFrame is the most that papers take, in bytes.
const maxFrame = 4 << 10

// A frame is a big-endian uint32 length and that much JSON.
func write(conn net.Conn, p papers) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(body))) //nolint:gosec // names and fingerprints, less than maxFrame
	_, err = conn.Write(append(frame, body...))
	return err
}

func read(conn net.Conn, p *papers) error {
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxFrame {
		return tls.RecordHeaderError{Conn: conn, RecordHeader: [5]byte(append(head[:], 0))}
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(conn, body); err != nil {
		return err
	}
	return json.Unmarshal(body, p)
}
