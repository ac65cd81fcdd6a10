package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"time"
)

const joinProtocol = "vipd-join/1"

// stranger has no certificate, and believes everybody.
func stranger(protocol string) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}, ServerName: "lab.vipd"}
}

// joiner is a stranger who wants to join.
func joiner() *tls.Config { return stranger(joinProtocol) }

// oldTLS speaks TLS 1.2 and wants to renegotiate.
func oldTLS() *tls.Config {
	cfg := joiner()
	cfg.MaxVersion, cfg.Renegotiation = tls.VersionTLS12, tls.RenegotiateFreelyAsClient
	return cfg
}

// impostor has a certificate as a member has, of a CA that the attacker has made.
func impostor(protocol string) *tls.Config {
	cfg := stranger(protocol)
	cfg.Certificates = []tls.Certificate{forge()}
	return cfg
}

func forge() tls.Certificate {
	_, authority, _ := ed25519.GenerateKey(rand.Reader) // never fails, see crypto/rand
	public, key, _ := ed25519.GenerateKey(rand.Reader)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "vipd"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "vm1"}, DNSNames: []string{"lab.vipd"},
		URIs:      []*url.URL{{Scheme: "vipd", Host: "lab", Path: "/vm1"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, public, authority)
	if err != nil {
		panic(err) // the templates are wrong
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// withTLS tries a handshake and waits for the other side to close.
func withTLS(cfg *tls.Config) speech { return overTLS(cfg, silence) }

// asJoiner gives the speech over the protocol of those who join.
func asJoiner(speak speech) speech { return overTLS(joiner(), speak) }

func overTLS(cfg *tls.Config, speak speech) speech {
	return func(ctx context.Context, c net.Conn) {
		conn := tls.Client(c, cfg)
		if conn.HandshakeContext(ctx) == nil {
			speak(ctx, conn)
		}
	}
}
