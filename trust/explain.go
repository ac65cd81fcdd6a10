package trust

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"
)

// Error says why two hosts do not trust each other, and what to do.
type Error struct{ message, hint string }

// Error says what is wrong.
func (e *Error) Error() string { return e.message }

// Hint says what to do.
func (e *Error) Hint() string { return e.hint }

// ErrGone says that a caller went away before it had said who it is, as a port scan or a
// health probe does.
var ErrGone = errors.New("the caller went away")

// ErrNotOfCluster says that a host which was called shows a certificate that rests on no
// root which is trusted here.
var ErrNotOfCluster = &Error{"the host that answers is not of this cluster", "look who has that address; if this host was removed from the cluster, `vipd leave` makes it forget that, and then it may join again, with a token"}

// Alerts of RFC 8446, section 6.2.
const (
	badCertificate        tls.AlertError = 42
	expiredCertificate    tls.AlertError = 45
	unknownCA             tls.AlertError = 48
	versionNotSupported   tls.AlertError = 70
	noApplicationProtocol tls.AlertError = 120
)

const sameVersion = "install the same version of vipd on all hosts"

// Explain says in words for people what an error of a connection means to the host that
// dialled it for a protocol. It is not only for the errors of Client, which are explained
// already: with TLS 1.3 the client's handshake is over before the server has judged its
// certificate, and a refusal arrives at the first read. Other errors it returns as they are.
func Explain(protocol string, err error) error {
	if untrusted(err) {
		return stranger(protocol)
	}
	if e := untimely(err, "the host that answers"); e != nil {
		return e
	}
	_, garbage := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case garbage, alerted(err, versionNotSupported):
		return &Error{"what answers there does not speak TLS 1.3", "is it vipd, and of the same version as here?"}
	case alerted(err, noApplicationProtocol) && protocol == Form:
		return &Error{"the host that answers has no secret to form a cluster with", "give it the same cluster.secret_file as here"}
	case alerted(err, noApplicationProtocol):
		return &Error{"the host that answers belongs to no cluster", "run `vipd init` there first, or name a host that is a member; if it is one, " + sameVersion}
	case alerted(err, unknownCA, badCertificate):
		return &Error{"the host that answers does not trust the certificate of this one", "are both of the same cluster, and not removed from it? its log says more"}
	case alerted(err, expiredCertificate):
		return &Error{"the host that answers thinks that the certificate of this one has ended, or is of the future", clockHint}
	}
	return err
}

// stranger is the error for one who answers and is not whom the protocol wants.
func stranger(protocol string) error {
	switch protocol {
	case Join:
		return &Error{"the host that answers is of another cluster than the token", "make the token on a member of the cluster that this host shall join; one that was made before `vipd rotate` is not good any more"}
	case Form:
		return &Error{"the host that answers has another secret to form a cluster with", "give all hosts the same cluster.secret_file; `sha256sum` compares them"}
	}
	return ErrNotOfCluster
}

// ExplainCaller says it to the host that was called. It returns [ErrGone] for a caller
// that went away without a word.
func ExplainCaller(err error) error {
	if untrusted(err) {
		return &Error{"the caller is not of this cluster", "a host that was set up anew must join again"}
	}
	if e := untimely(err, "the caller"); e != nil {
		return e
	}
	if header, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		if string(header.RecordHeader[:4]) == "vipd" {
			return &Error{"the caller runs a version of vipd without TLS", sameVersion}
		}
		return &Error{"the caller does not speak TLS", "only hosts with vipd should be able to reach this port"}
	}
	if alerted(err, badCertificate, unknownCA, expiredCertificate) {
		return &Error{"the caller does not trust the certificate of this host", "it is of another cluster, has a token for another one or another secret, or its clock is wrong; its own message says which"}
	}
	if isAny(err, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, net.ErrClosed) {
		return ErrGone
	}
	return err
}

// Unspoken is the error of a host that is called for protocols which it does not speak.
func Unspoken(protocols []string) error {
	switch {
	case slices.Equal(protocols, []string{Form}):
		return &Error{"the caller wants to form a cluster, and this host has no secret for that", "give all hosts the same cluster.secret_file, or none"}
	case len(protocols) == 1 && slices.Contains([]string{Raft, Members, Join}, protocols[0]):
		return &Error{"the caller wants a member of a cluster, and this host is none", "if it is to be one, `vipd token create` on a member prints what to type here"}
	}
	return &Error{fmt.Sprintf("the caller does not speak as this version of vipd does: %.80s", fmt.Sprintf("%q", protocols)), sameVersion}
}

const clockHint = "compare `date -u` on the two hosts, and have the clocks set by NTP (`timedatectl`)"

// untimely says that a certificate is not good yet or any more; nil if that is not it.
func untimely(err error, whose string) error {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	if !ok || invalid.Reason != x509.Expired {
		return nil
	}
	return &Error{
		fmt.Sprintf("the certificate of %s has ended, or is of the future: %s", whose, invalid.Detail),
		clockHint + "; a member makes itself another as soon as its clock is right, and a host that has not joined within a day joins with a new token",
	}
}

// untrusted reports whether a certificate rests on no root that is trusted, or is for
// another cluster.
func untrusted(err error) bool {
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, other := errors.AsType[x509.HostnameError](err)
	return unknown || other
}

// alerted reports whether the other side has sent one of these alerts. They are compared
// by text, for their type in errors is one that crypto/tls keeps to itself.
func alerted(err error, alerts ...tls.AlertError) bool {
	remote, ok := errors.AsType[*net.OpError](err)
	return ok && remote.Op == "remote error" && slices.ContainsFunc(alerts, func(a tls.AlertError) bool { return remote.Err.Error() == a.Error() })
}

func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}
