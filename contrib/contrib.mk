# SPDX-License-Identifier: LGPL-2.1-or-later
EXTRA_DIST += contrib/packages.sh contrib/build.sh contrib/bundle.sh contrib/try.sh
EXTRA_DIST += contrib/update-docs.sh contrib/engines/podman.conf contrib/engines/containerd.toml

# Made from the table of options.  A program for another machine cannot be asked.
bashcompletiondir = $(datadir)/bash-completion/completions
fishcompletiondir = $(datadir)/fish/vendor_completions.d
zshcompletiondir = $(datadir)/zsh/site-functions
completions = contrib/completion/vzrun contrib/completion/vzrun.fish contrib/completion/_vzrun
if !CROSS_COMPILING
bashcompletion_DATA = contrib/completion/vzrun
fishcompletion_DATA = contrib/completion/vzrun.fish
zshcompletion_DATA = contrib/completion/_vzrun
endif
$(completions): vzrun$(EXEEXT)
	$(AM_V_at)$(MKDIR_P) contrib/completion
	$(AM_V_GEN)case $@ in *.fish) s=fish ;; */_vzrun) s=zsh ;; *) s=bash ;; esac; \
		./vzrun$(EXEEXT) completion $$s >$@.new && mv -f $@.new $@
CLEANFILES += $(completions)
