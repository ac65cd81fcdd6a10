package trust

import (
	"crypto/x509"
	"errors"
	"net/url"
	"slices"
	"strings"
)

// serverName is what all certificates of a cluster are for, so that TLS compares it.
func serverName(cluster string) string { return cluster + ".vipd" }

// memberName is what the certificate of one member is for.
func memberName(cluster, id string) *url.URL {
	return &url.URL{Scheme: "vipd", Host: cluster, Path: "/" + id}
}

// nameIn reads whom a certificate is for.
func nameIn(c *x509.Certificate) (cluster, id string, err error) {
	if len(c.URIs) == 1 && len(c.URIs[0].Path) > 1 {
		cluster, id = c.URIs[0].Host, c.URIs[0].Path[1:]
	}
	if !isName(cluster) || !isName(id) || *c.URIs[0] != *memberName(cluster, id) || !slices.Equal(c.DNSNames, []string{serverName(cluster)}) {
		return "", "", errors.New("the certificate names no member of a cluster")
	}
	return cluster, id, nil
}

// isName keeps out what has a meaning in URIs and host names.
func isName(s string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
	return s != "" && len(s) <= 63 && strings.Trim(s, allowed) == ""
}
