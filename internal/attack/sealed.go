package main

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"net"
	"strings"
)

// seal writes records of a TLS 1.3 connection that crypto/tls would not write (RFC 8446 §5.2, §7). It knows
// TLS_AES_128_GCM_SHA256, which is what two programs in Go agree on where the processor has AES.
type seal struct {
	secret   []byte // client_application_traffic_secret_N
	aead     cipher.AEAD
	iv       []byte
	sequence uint64
}

// sealed does a handshake as a joiner and gives what follows the keys.
func sealed(speak func(net.Conn, *seal)) speech {
	return func(ctx context.Context, c net.Conn) {
		var keys bytes.Buffer
		cfg := joiner()
		cfg.KeyLogWriter = &keys
		conn := tls.Client(c, cfg)
		if conn.HandshakeContext(ctx) != nil || conn.ConnectionState().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
			return
		}
		if s := sealFrom(keys.String()); s != nil {
			speak(c, s)
		}
	}
}

// sealFrom finds the client's secret in a key log.
func sealFrom(log string) *seal {
	for line := range strings.Lines(log) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] != "CLIENT_TRAFFIC_SECRET_0" {
			continue
		}
		secret, err := hex.DecodeString(fields[2])
		if err != nil {
			return nil
		}
		s := &seal{}
		s.use(secret)
		return s
	}
	return nil
}

func (s *seal) use(secret []byte) {
	block, err := aes.NewCipher(expand(secret, "key", 16))
	if err != nil {
		panic(err) // the key is 16 bytes long
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES has the right block
	}
	s.secret, s.aead, s.iv, s.sequence = secret, aead, expand(secret, "iv", 12), 0
}

// expand is HKDF-Expand-Label (RFC 8446 §7.1) with no context.
func expand(secret []byte, label string, length int) []byte {
	info := append([]byte{byte(length >> 8), byte(length), byte(len("tls13 " + label))}, "tls13 "+label+"\x00"...)
	key, err := hkdf.Expand(sha256.New, secret, string(info), length)
	if err != nil {
		panic(err) // the length is not too long
	}
	return key
}

// record seals one record of that type.
func (s *seal) record(kind byte, body []byte) []byte {
	nonce := bytes.Clone(s.iv)
	binary.BigEndian.PutUint64(nonce[4:], binary.BigEndian.Uint64(nonce[4:])^s.sequence)
	s.sequence++
	inner := append(bytes.Clone(body), kind)
	length := len(inner) + s.aead.Overhead()
	head := []byte{recordApplication, 3, 3, byte(length >> 8), byte(length)}
	return s.aead.Seal(head, nonce, inner, head)
}

// renegotiation begins another handshake within the connection.
func renegotiation(c net.Conn, s *seal) {
	if _, err := c.Write(s.record(recordHandshake, clientHello(joiner())[5:])); err == nil {
		silence(context.Background(), c)
	}
}

// inTheClear begins another handshake beside the connection, as if TLS had just not begun.
func inTheClear(ctx context.Context, c net.Conn) {
	conn := tls.Client(c, joiner())
	if conn.HandshakeContext(ctx) != nil {
		return
	}
	if _, err := c.Write(record(recordHandshake, clientHello(joiner())[5:])); err == nil {
		silence(ctx, c)
	}
}

// keyUpdates change the key again and again and ask the other side to do the same, with a byte of a request between them, so
// that each of them looks useful. Nothing is read.
func keyUpdates(c net.Conn, s *seal) {
	const head = "POST /enrol HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"
	_, err := c.Write(s.record(recordApplication, []byte(head)))
	for err == nil {
		update := s.record(recordHandshake, []byte{messageKeyUpdate, 0, 0, 1, 1})
		s.use(expand(s.secret, "traffic upd", sha256.Size))
		_, err = c.Write(append(update, s.record(recordApplication, []byte(" "))...))
	}
}
