# Whether sudo records what it is given (log_input, log_stdin), or what is said (log_output, log_stdout) -> v. Where it does
# it reads that itself, and passes it on through a pipe of its own.
input_recorded() { recorded 0 3; }
output_recorded() { recorded 1 1; }
# Its descriptor, and ours of the same
recorded() {
  [ -n "${SUDO_USER-}" ] && [ -e "/proc/$PPID/fd/$1" ] && [ -e "/proc/self/fd/$2" ] || { v=0; return; }
  first_line "/proc/$PPID/comm"
  case $v in sudo*) v=1; [ ! "/proc/$PPID/fd/$1" -ef "/proc/self/fd/$2" ] || v=0;; *) v=0;; esac
}
