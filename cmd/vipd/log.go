package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// openLog returns a logger that never blocks, and the sink it writes to, to be
// closed at the end. If out is the stream that journalStream names, its lines
// are made for journald (sd-daemon(3): the priority first, and no time, which
// the journal notes itself), else for a person.
func openLog(out io.Writer, journalStream string) (*zap.Logger, *sink) {
	encoder := zapcore.NewConsoleEncoder(lineFormat(toJournald(out, journalStream)))
	lines := newSink(out, lossLine(encoder))
	core := zapcore.NewCore(encoder, lines, zap.InfoLevel)
	return zap.New(core, zap.ErrorOutput(lines)), lines
}

// lineFormat says how a line of the log looks.
func lineFormat(journald bool) zapcore.EncoderConfig {
	cfg := zapcore.EncoderConfig{
		MessageKey:       "message",
		LevelKey:         "level",
		TimeKey:          "time",
		EncodeLevel:      zapcore.CapitalLevelEncoder,
		EncodeTime:       zapcore.TimeEncoderOfLayout("2006-01-02T15:04:05.000Z07:00"),
		EncodeDuration:   zapcore.StringDurationEncoder,
		ConsoleSeparator: " ",
	}
	if journald {
		cfg.TimeKey, cfg.EncodeLevel = "", journalLevel
	}
	return cfg
}

// lossLine returns what writes the line that tells how many lines were lost.
func lossLine(encoder zapcore.Encoder) func(lost uint64) []byte {
	encoder = encoder.Clone()
	return func(lost uint64) []byte {
		entry := zapcore.Entry{Level: zap.WarnLevel, Time: time.Now(), Message: "log lines were lost: they were not read fast enough"}
		line, err := encoder.EncodeEntry(entry, []zapcore.Field{zap.Uint64("lines", lost)})
		if err != nil {
			return nil
		}
		return line.Bytes()
	}
}

// journalLevel writes a level as sd-daemon(3) wants it, and as people do.
func journalLevel(l zapcore.Level, line zapcore.PrimitiveArrayEncoder) {
	line.AppendString(fmt.Sprintf("<%d>%s", priority(l), l.CapitalString()))
}

// errorPriority begins a line of an error for journald.
const errorPriority = "<3>"

// priority returns the priority of syslog(3) that a level means.
func priority(l zapcore.Level) int {
	switch {
	case l >= zapcore.DPanicLevel:
		return 2
	case l == zapcore.ErrorLevel:
		return 3
	case l == zapcore.WarnLevel:
		return 4
	case l == zapcore.InfoLevel:
		return 6
	default:
		return 7
	}
}

// toJournald says whether out is the stream that journald reads: JOURNAL_STREAM
// names its device and inode (systemd.exec(5)), and may have been inherited by a
// process whose output goes elsewhere.
func toJournald(out io.Writer, journalStream string) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	device, inode, _ := strings.Cut(journalStream, ":")
	return ok && device == strconv.FormatUint(stat.Dev, 10) && inode == strconv.FormatUint(stat.Ino, 10)
}
