"""Golden files: what users of livews rely on, recorded with one version and compared with another.

They were recorded with the version before a redesign that had to change nothing visible: commands, options, exit codes,
names and order of JSON events, environment variables, the trace format, the bytes on the wire of client, stand-in and
proxy, and the public names of the library. Wording for people and times are not compared; normalize.py has the list.

    python -m tests.bench.golden compare                      # this checkout against the recorded files: exit 1, a line each
    python -m tests.bench.golden compare 'close-*' -j 1       # some cases, one at a time
    python -m tests.bench.golden compare --livews PATH        # another version, by its executable
    python -m tests.bench.golden record --livews PATH         # write data/ anew
    LIVEWS_GOLDEN=all python -m pytest tests/bench/golden     # every case as a test; without the variable a part of them

livews is run as a command only, against real sockets on loopback, so the cases fit any version of it.

- cases.py: what is run; parts.py: what that is made of; inputs/: messages, closes, scenarios and a trace as they were
- runner.py: runs a case; sockets.py: the scripted peers; library.py: run by the Python of the version under test
- forms.py and normalize.py: output as data, and what is left out of it
- data/: the recorded results, a line for each case

A wanted change of behaviour is recorded anew, for those cases only (`record 'talk-image*'`), and the difference of data/
in the commit shows it. A name or option more, where a list says `atLeast`, is no difference.
"""
