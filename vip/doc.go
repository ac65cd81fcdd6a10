// Package vip tells the kernel about the floating addresses.
package vip
