# make install [DESTDIR=] [PREFIX=/usr/local], make deb
PREFIX  ?= /usr/local
VERSION := $(shell sed -n 's/.*HEARTH_VERSION "\(.*\)"/\1/p' hearth/options/options.h)

PAGES := $(BUILD)/man/hearth.1 $(BUILD)/man/hearth-monitor.7
man: $(PAGES)

$(BUILD)/man/hearth.1: docs/man/hearth.1.in $(BUILD)/hearth
	@mkdir -p $(@D)
	$(BUILD)/hearth -completion man >$@.options
	sed -e 's/@VERSION@/$(VERSION)/' -e '/@OPTIONS@/{r $@.options' -e 'd;}' $< >$@
	@rm $@.options

# What the monitor says of itself, as tagged paragraphs.
COMMANDS_AS_ROFF := tr -d '\r' | sed -n 's/\\/\\e/g; s/-/\\-/g; s/^\(info [a-z0-9_]*\|[a-z0-9_?]*\) \(.*\) *\\-\\- \(.*\)/.TP\n.B \1 \2\n\3/p'
ASK := $(BUILD)/hearth -accel soft -S -display none -serial none -monitor stdio

$(BUILD)/man/hearth-monitor.7: docs/man/hearth-monitor.7.in $(BUILD)/hearth
	@mkdir -p $(@D)
	printf 'help\nquit\n' | $(ASK) | $(COMMANDS_AS_ROFF) >$@.commands
	printf 'help info\nquit\n' | $(ASK) | $(COMMANDS_AS_ROFF) >$@.info
	sed -e 's/@VERSION@/$(VERSION)/' -e '/@COMMANDS@/{r $@.commands' -e 'd;}' -e '/@INFO@/{r $@.info' -e 'd;}' $< >$@
	@rm $@.commands $@.info

TO = $(DESTDIR)$(PREFIX)
install: all man
	install -D -m 755 $(BUILD)/hearth $(TO)/bin/hearth
	for page in $(PAGES); do install -D -m 644 $$page $(TO)/share/man/man$${page##*.}/$${page##*/}; done
	for image in spark.img spark-disk.img spark.iso; do install -D -m 644 $(BUILD)/$$image $(TO)/share/hearth/$$image; done
	for document in README.md docs/*.md; do install -D -m 644 $$document $(TO)/share/doc/hearth/$${document##*/}; done
	install -D -m 644 LICENSE $(TO)/share/doc/hearth/copyright
	install -d $(TO)/share/bash-completion/completions $(TO)/share/zsh/site-functions $(TO)/share/fish/vendor_completions.d
	$(BUILD)/hearth -completion bash >$(TO)/share/bash-completion/completions/hearth
	$(BUILD)/hearth -completion zsh >$(TO)/share/zsh/site-functions/_hearth
	$(BUILD)/hearth -completion fish >$(TO)/share/fish/vendor_completions.d/hearth.fish
	install -d $(TO)/lib/systemd/system
	sed 's|@PREFIX@|$(PREFIX)|g' packaging/hearth@.service >$(TO)/lib/systemd/system/hearth@.service

# A package for this distribution's release, with the libraries that this build was linked with.
DEB = $(BUILD)/hearth_$(VERSION)_$(shell dpkg --print-architecture 2>/dev/null).deb
deb: all man
	rm -rf $(BUILD)/deb
	$(MAKE) -s install DESTDIR=$(BUILD)/deb PREFIX=/usr
	mkdir -p $(BUILD)/deb/DEBIAN
	sed -e 's/@VERSION@/$(VERSION)/' -e "s/@ARCHITECTURE@/$$(dpkg --print-architecture)/" \
	    -e "s/@ZYDIS@/$$(dpkg -S '*/libZydis.so.*' | sed -n '1s/:.*//p')/" \
	    packaging/control.in >$(BUILD)/deb/DEBIAN/control
	dpkg-deb --root-owner-group --build $(BUILD)/deb $(DEB)

.PHONY: man install deb
