# SPDX-License-Identifier: LGPL-2.1-or-later
EXTRA_DIST += contrib/packages.sh contrib/build.sh contrib/bundle.sh contrib/try.sh
EXTRA_DIST += contrib/update-docs.sh contrib/version.sh contrib/rpm/vzrun.spec
EXTRA_DIST += $(addprefix debian/,changelog control copyright docs examples rules source/format tests/control tests/smoke)

# Drop-ins for engines and units: examples, which name the program where it is installed.
examples = $(patsubst $(srcdir)/contrib/%,%,$(wildcard $(srcdir)/contrib/engines/*.* $(srcdir)/contrib/engines/*/*.* \
	$(srcdir)/contrib/systemd/*/*.*))
EXTRA_DIST += $(addprefix contrib/,$(examples))
install-data-local:
	$(AM_V_at)for f in $(examples); do \
		to="$(DESTDIR)$(docdir)/examples/$${f#*/}" && $(MKDIR_P) "$${to%/*}" && \
		sed 's,/usr/local/bin/vzrun,$(bindir)/vzrun,g' "$(srcdir)/contrib/$$f" >"$$to" && chmod 644 "$$to" || exit 1; \
	done
uninstall-local:
	$(AM_V_at)for f in $(examples); do rm -f "$(DESTDIR)$(docdir)/examples/$${f#*/}"; done

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
