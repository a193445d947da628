// Package crash kills the agent, fails its disk and fills it, and looks whether mail was lost.
//
// The tests run the sternpost binary as an operator does. A client of ours hands mail over and writes each 250 down outside of the agent; scripted
// servers take what is delivered. After each trouble the agent is started again and drained, and both books are compared: whatever was answered with
// 250 has arrived, unchanged; whatever was refused has not; and what arrived twice was in flight, or not yet recorded, when the trouble came.
//
// They are behind the build tag crash, because they take long:
//
//	make crash ROUNDS=200
//
// ROUNDS is the number of kills, and of the runs of each kind of call that is killed or fails; SEED is where their randomness begins. The tests with the disk need root, for they mount file systems of their own, and
// e2fsprogs, mount and strace of Debian; where one of these is missing they say so and are skipped. STERNPOST_CRASH_BIN names a binary to test in place of one
// that is built from this tree.
package crash
