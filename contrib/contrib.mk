# SPDX-License-Identifier: LGPL-2.1-or-later
EXTRA_DIST += contrib/packages.sh contrib/build.sh contrib/bundle.sh contrib/try.sh
EXTRA_DIST += contrib/update-docs.sh contrib/engines/podman.conf contrib/engines/containerd.toml

# Made from the table of options.  A program for another machine cannot be asked.
bashcompletiondir = $(datadir)/bash-completion/completions
if !CROSS_COMPILING
bashcompletion_DATA = contrib/completion/vzrun
endif
contrib/completion/vzrun: vzrun$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) contrib/completion && ./vzrun$(EXEEXT) completion bash >$@.new && mv -f $@.new $@
CLEANFILES += contrib/completion/vzrun
