package election

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
)

// bbolt trusts its file: it maps it into memory, and a page that says what cannot be
// takes it out of the file or round in a circle. So all pages are looked at before it
// gets the file, by slices that know their end. This follows go.etcd.io/bbolt
// internal/common: page.go, inode.go and meta.go, version 2 of the format.
const (
	pageHead     = 16 // id uint64, flags uint16, count uint16, overflow uint32
	elementSize  = 16
	metaSize     = 64 // up to the checksum
	boltMagic    = 0xED0CDAED
	boltVersion  = 2
	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10
	bucketEntry  = 0x01
	noFreelist   = ^uint64(0)
)

// boltFile is the content of a bbolt file.
type boltFile struct {
	data []byte
	size uint64          // of a page
	end  uint64          // the first page that is not in use
	used map[uint64]bool // pages that have been met
}

// checkPages reports what is wrong with the content of a bbolt file. It panics where a
// page points out of itself, see [contained].
func checkPages(data []byte) error {
	if len(data) == 0 {
		return errors.New("it is empty") // bbolt would take it for a new one
	}
	f := &boltFile{data: data, used: make(map[uint64]bool)}
	meta, err := f.meta()
	if err != nil {
		return err
	}
	f.size, f.end = uint64(binary.NativeEndian.Uint32(meta[8:])), binary.NativeEndian.Uint64(meta[40:])
	if f.end > uint64(len(data))/f.size {
		return fmt.Errorf("it has %d bytes, and should have %d pages of %d", len(data), f.end, f.size)
	}
	if err := f.tree(binary.NativeEndian.Uint64(meta[16:])); err != nil {
		return err
	}
	return f.free(binary.NativeEndian.Uint64(meta[32:]))
}

// meta returns the newer of the two meta pages that is whole. While one is written the
// other one counts.
func (f *boltFile) meta() ([]byte, error) {
	var newest []byte
	for _, at := range []int{0, os.Getpagesize()} {
		if len(f.data) < at+pageHead+metaSize {
			break
		}
		m := f.data[at+pageHead:][: metaSize : metaSize+8]
		sum := fnv.New64a()
		_, _ = sum.Write(m[:metaSize-8])
		whole := binary.NativeEndian.Uint32(m) == boltMagic && binary.NativeEndian.Uint32(m[4:]) == boltVersion && binary.NativeEndian.Uint64(m[56:]) == sum.Sum64()
		if whole && (newest == nil || binary.NativeEndian.Uint64(m[48:]) > binary.NativeEndian.Uint64(newest[48:])) {
			newest = m
		}
	}
	if newest == nil {
		return nil, errors.New("neither of its two heads is whole")
	}
	return newest, nil
}

// page returns a page that nothing has referred to yet, with those that continue it.
func (f *boltFile) page(id uint64) ([]byte, error) {
	if id < 2 || id >= f.end {
		return nil, fmt.Errorf("there is no page %d", id)
	}
	data := f.data[id*f.size : f.end*f.size]
	pages := uint64(binary.NativeEndian.Uint32(data[12:])) + 1
	if binary.NativeEndian.Uint64(data) != id || id+pages > f.end {
		return nil, fmt.Errorf("page %d is not what is written there", id)
	}
	for p := id; p < id+pages; p++ {
		if f.used[p] {
			return nil, fmt.Errorf("page %d is used twice", p)
		}
		f.used[p] = true
	}
	return data[: pages*f.size : pages*f.size], nil
}

func (f *boltFile) tree(id uint64) error {
	page, err := f.page(id)
	if err != nil {
		return err
	}
	switch binary.NativeEndian.Uint16(page[8:]) {
	case branchPage:
		return f.branch(page)
	case leafPage:
		return f.leaf(page)
	}
	return fmt.Errorf("page %d is of another kind", id)
}

func (f *boltFile) branch(page []byte) error {
	if binary.NativeEndian.Uint16(page[10:]) == 0 {
		return errors.New("a branch has no leaf")
	}
	var last []byte
	for i := range int(binary.NativeEndian.Uint16(page[10:])) {
		e := page[pageHead+i*elementSize:] // pos uint32, ksize uint32, id uint64
		key := span(e, binary.NativeEndian.Uint32(e), binary.NativeEndian.Uint32(e[4:]))
		if err := ascending(&last, key, i); err != nil {
			return err
		}
		if err := f.tree(binary.NativeEndian.Uint64(e[8:])); err != nil {
			return err
		}
	}
	return nil
}

func (f *boltFile) leaf(page []byte) error {
	var last []byte
	for i := range int(binary.NativeEndian.Uint16(page[10:])) {
		e := page[pageHead+i*elementSize:] // flags uint32, pos uint32, ksize uint32, vsize uint32
		pos, ksize := binary.NativeEndian.Uint32(e[4:]), binary.NativeEndian.Uint32(e[8:])
		if err := ascending(&last, span(e, pos, ksize), i); err != nil {
			return err
		}
		value := span(e[pos:], ksize, binary.NativeEndian.Uint32(e[12:]))
		switch binary.NativeEndian.Uint32(e) {
		case 0:
		case bucketEntry:
			if err := f.bucket(value); err != nil {
				return err
			}
		default:
			return fmt.Errorf("an entry is of kind %d", binary.NativeEndian.Uint32(e))
		}
	}
	return nil
}

// bucket looks at a bucket: a root page and a sequence, and where the root is 0 a
// small page right behind.
func (f *boltFile) bucket(value []byte) error {
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return f.tree(root)
	}
	if inline := value[16:]; binary.NativeEndian.Uint16(inline[8:]) == leafPage {
		return f.leaf(inline)
	}
	return errors.New("a small bucket is no leaf")
}

// free looks at the list of free pages: what is in use must not stand there, or it
// would be written over.
func (f *boltFile) free(id uint64) error {
	if id == noFreelist {
		return nil
	}
	page, err := f.page(id)
	if err != nil {
		return err
	}
	if binary.NativeEndian.Uint16(page[8:]) != freelistPage {
		return errors.New("the list of free pages is none")
	}
	count, ids := uint64(binary.NativeEndian.Uint16(page[10:])), page[pageHead:]
	if count == 0xFFFF { // the number stands in front
		count, ids = binary.NativeEndian.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids))/8 {
		return errors.New("the list of free pages is longer than its page")
	}
	for id := range slices.Chunk(ids[:count*8], 8) {
		p := binary.NativeEndian.Uint64(id)
		if p < 2 || p >= f.end || f.used[p] {
			return fmt.Errorf("page %d can't be free", p)
		}
		f.used[p] = true
	}
	return nil
}

// span returns the size bytes at an offset, all of them in b.
func span(b []byte, at, size uint32) []byte { return b[at:][:size:size] }

// ascending looks whether keys are in order.
func ascending(last *[]byte, key []byte, i int) error {
	if i > 0 && bytes.Compare(*last, key) >= 0 {
		return errors.New("keys are out of order")
	}
	*last = key
	return nil
}
