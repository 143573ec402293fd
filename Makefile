# SPDX-License-Identifier: GPL-2.0-or-later
# The human door. Kbuild holds what the kernel's build needs; everything built
# lands in build/.

VERSION := 0.1.0
B := build
KERNEL ?= /lib/modules/$(shell uname -r)/build

# ARCH=arm64: for a card's processor, on another one. Its libraries are unpacked into the
# cache (make deps), and what is built lands beside the native.
ifeq ($(ARCH)-$(shell uname -m),arm64-x86_64)
B := build/arm64
CROSS_COMPILE ?= aarch64-linux-gnu-
CC := $(CROSS_COMPILE)gcc
SYSROOT := $(shell tests/vm/arm64-root.sh --where)
export CROSS_COMPILE
endif

CC ?= gcc
CFLAGS ?= -O2 -g
CFLAGS += $(if $(SYSROOT),--sysroot=$(SYSROOT))
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Werror
CPPFLAGS += -D_GNU_SOURCE -DSLUICE_VERSION='"$(VERSION)"' -I. -Ilibcommon -Ikmod/uapi
ALL_CFLAGS = -std=gnu11 $(CFLAGS) $(WARN) $(CPPFLAGS)

COMMON_SRC := $(wildcard libcommon/*.c)
DAEMON_SRC := $(wildcard daemon/*.c)
TOOLS_SRC := $(wildcard tools/*.c)
COMMON_LIBS := -ljson-c -lcrypto
DAEMON_LIBS := -luring -lnvme -lnbd -liscsi -lblkid -lsystemd -lmicrohttpd -lpthread $(COMMON_LIBS)
TOOLS_LIBS := -lsmartcols -lblkid -lext2fs -lcom_err $(COMMON_LIBS)

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

.PHONY: all user module doc guest-tools crash-tools profile-tools deps style clean
.PHONY: install install-user install-dkms install-doc deb rpm version package-deps
.PHONY: check check-static check-unit check-guest check-sources check-crash check-kcsan
.PHONY: check-removed check-model check-lab check-package check-rpm fuzz
.PHONY: bench lab-iops demo demo-local

all: user module

user: $(B)/sluiced $(B)/sluicectl

$(B)/sluiced: $(call obj,$(DAEMON_SRC) $(COMMON_SRC))
	@echo "  LINK    $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(DAEMON_LIBS)

$(B)/sluicectl: $(call obj,$(TOOLS_SRC) $(COMMON_SRC))
	@echo "  LINK    $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(TOOLS_LIBS)

$(B)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

# The module is built in a copy of its sources: kbuild writes beside them, and
# build output belongs below build/.
KMOD_DIR ?= $(B)/kmod
KMOD_SRC := Kbuild $(wildcard kmod/*.[ch] kmod/compat/*.[ch] kmod/uapi/linux/*.h)

# KERNEL=DIR builds against another kernel than the running one.
module: $(KMOD_DIR)/sluice.ko

$(KMOD_DIR)/sluice.ko: $(KMOD_SRC) Makefile
	@mkdir -p $(KMOD_DIR)
	@cp --parents -u $(KMOD_SRC) $(KMOD_DIR)
	$(MAKE) -C $(KERNEL) M=$(abspath $(KMOD_DIR)) SLUICE_VERSION=$(VERSION) $(KBUILD_FLAGS) modules

# Where things go; packages say otherwise. LIB is of what the system itself reads early.
PREFIX ?= /usr/local
SYSCONF ?= /etc
LIB ?= $(PREFIX)/lib
ZSH ?= $(PREFIX)/share/zsh/site-functions
P := tools/packaging
INSTALL_DATA := install -D -m 644

MAN_PAGES := $(patsubst Documentation/man/%.rst,$(B)/man/%,$(wildcard Documentation/man/*.rst))
HTML := $(patsubst Documentation/%.rst,$(B)/html/%.html,$(wildcard Documentation/*.rst))

doc: $(MAN_PAGES) $(HTML)

$(B)/man/%: Documentation/man/%.rst
	@mkdir -p $(@D)
	@rst2man --halt=2 $< $@

$(B)/html/%.html: Documentation/%.rst
	@mkdir -p $(@D)
	@rst2html --halt=2 $< $@

install: install-user install-dkms install-doc

install-user: user doc
	install -D -m 755 $(B)/sluiced $(DESTDIR)$(PREFIX)/sbin/sluiced
	install -D -m 755 $(B)/sluicectl $(DESTDIR)$(PREFIX)/bin/sluicectl
	for page in $(MAN_PAGES); do \
		$(INSTALL_DATA) $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit; \
	done
	$(INSTALL_DATA) tools/completion/sluicectl.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/sluicectl
	$(INSTALL_DATA) tools/completion/_sluicectl $(DESTDIR)$(ZSH)/_sluicectl
	install -d $(DESTDIR)$(SYSCONF)/sluice/sluice.conf.d $(DESTDIR)$(SYSCONF)/sluice/deployments.d
	$(INSTALL_DATA) $(P)/sluice.conf $(DESTDIR)$(SYSCONF)/sluice/sluice.conf
	install -d $(DESTDIR)$(LIB)/systemd/system
	for unit in $(notdir $(wildcard $(P)/systemd/*.service)); do \
		sed 's,@sbindir@,$(PREFIX)/sbin,; s,@bindir@,$(PREFIX)/bin,' $(P)/systemd/$$unit \
			>$(DESTDIR)$(LIB)/systemd/system/$$unit && \
		chmod 644 $(DESTDIR)$(LIB)/systemd/system/$$unit || exit; \
	done
	$(INSTALL_DATA) $(P)/systemd/udev.rules $(DESTDIR)$(LIB)/udev/rules.d/65-sluice.rules
	$(INSTALL_DATA) $(P)/systemd/modprobe.conf $(DESTDIR)$(LIB)/modprobe.d/sluice.conf
	$(INSTALL_DATA) $(P)/systemd/modules-load.conf $(DESTDIR)$(PREFIX)/lib/modules-load.d/sluice.conf
	$(INSTALL_DATA) $(P)/systemd/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/sluice.conf
	$(INSTALL_DATA) $(P)/systemd/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/sluice.conf

# The module's source, for DKMS.
DKMS_DIR = $(DESTDIR)$(PREFIX)/src/sluice-$(VERSION)
install-dkms:
	install -d $(DKMS_DIR)
	cp --parents $(KMOD_SRC) $(DKMS_DIR)
	sed 's/@VERSION@/$(VERSION)/' $(P)/dkms.conf >$(DKMS_DIR)/dkms.conf
	find $(DKMS_DIR) -type f -exec chmod 644 {} +

install-doc: doc
	for page in $(HTML); do \
		$(INSTALL_DATA) $$page $(DESTDIR)$(PREFIX)/share/doc/sluice-doc/$${page##*/} || exit; \
	done
	$(INSTALL_DATA) README.md $(DESTDIR)$(PREFIX)/share/doc/sluice-doc/README.md

# Packages, from what is checked out, into build/deb and build/rpm.
deb: package-deps
	$(P)/deb.sh $(VERSION)

rpm: package-deps
	$(P)/rpm.sh $(VERSION)

# For scripts.
version:
	@echo $(VERSION)

package-deps: deps
	tests/package/deps.sh

# What is in the RPM packages, and what they do to a root.
check-rpm: package-deps
	tests/package/rpm.sh

# The Debian packages in a machine with Debian 12 as it is, half an hour. Parts of it:
# tests/package/run.sh.
check-package: package-deps guest-tools
	tests/package/run.sh

# What guests run besides Sluice itself.
guest-tools: $(addprefix $(B)/tests/,blockcmp oddread tamper kmod-test faults.so)

$(addprefix $(B)/tests/,blockcmp oddread tamper): $(B)/tests/%: tests/guest/%.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(ALL_CFLAGS) -o $@ $< -lpthread

$(B)/tests/faults.so: tests/unit/faults.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(ALL_CFLAGS) -fPIC -shared -o $@ $<

$(B)/tests/kmod-test: $(wildcard tests/guest/kmod-*.[ch] tests/guest/puppet.[ch])
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(ALL_CFLAGS) -o $@ $(filter %.c,$^) -luring -lpthread

CRASH_GUEST := $(addprefix $(B)/tests/crash-,record recover cuts)
crash-tools: $(CRASH_GUEST) $(B)/tests/crash-enumerate

$(CRASH_GUEST): $(B)/tests/crash-%: tests/crash/%.c \
		tests/crash/crash.h $(wildcard tests/crash/marks.[ch] tests/guest/puppet.[ch])
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(ALL_CFLAGS) -Itests/guest -o $@ $(filter %.c,$^) -luring -lpthread

CRASH_SRC := $(addprefix tests/crash/,enumerate.c sample.c disk.c oracle.c log.c) kmod/media.c
$(B)/tests/crash-enumerate: $(CRASH_SRC) $(wildcard tests/crash/*.h kmod/media.h)
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(ALL_CFLAGS) -Ikmod -o $@ $(CRASH_SRC)

# A plugin of QEMU that counts a guest's instructions, and who tells it when.
profile-tools: $(B)/tests/insnprof.so $(B)/tests/insnprof-mark

$(B)/tests/insnprof.so: tests/bench/insnprof.c tests/bench/qemu-plugin.h
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(ALL_CFLAGS) -fPIC -shared -fvisibility=hidden -o $@ $<

$(B)/tests/insnprof-mark: tests/bench/insnprof-mark.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(ALL_CFLAGS) -o $@ $<

deps:
	tests/vm/deps.sh $(if $(SYSROOT),gcc-aarch64-linux-gnu qemu-system-arm)
	$(if $(SYSROOT),tests/vm/arm64-root.sh >/dev/null)

check:
	@tests/check.sh

check-static: deps
	tests/static.sh

check-unit: deps user
	tests/unit.sh

# One guest test: make check-guest NAME=kmod
check-guest: deps user
	tests/guest.sh $(NAME)

# Every kind of source, from real servers that also fail.
check-sources: deps user
	tests/guest.sh sources-nbd sources-iscsi sources-nvme sources-paths \
		sources-large sources-debian-xz sources-debian

# What comes from outside, for as long as asked: make fuzz FUZZ_SECONDS=600 [NAME=uri]
FUZZ_SECONDS ?= 60
fuzz: deps
	tests/fuzz/run.sh $(FUZZ_SECONDS) $(NAME)

# Every disk that a crash may leave, of as many recorded deployments as it takes, and
# power cuts.
STATES ?= 1000000
SEED ?= 1
CUTS ?= 100
check-crash: deps
	tests/crash/run.sh $(STATES) $(SEED) $(CUTS)

# Everything that runs at once, in a kernel that watches for data races.
check-kcsan: deps user
	tests/kcsan/run.sh

# The module without what upholds its invariants, one thing at a time: tests must fail.
check-removed: deps user
	tests/removed/run.sh $(NAME)

# One block's protocol, by exhaustion.
check-model: deps
	tests/spin/run.sh

# Two machines with a PCIe wire between them.
check-lab: deps
	tests/lab/life-cycle.sh

# What Sluice costs a host over PCIe when all is local, beside nvmet alone.
lab-iops: deps
	tests/lab/iops.sh

# What Sluice costs and gains beside its alternatives: make bench [NAME="cost source"]
bench: deps
	tests/bench/run.sh $(NAME)

demo:
	@tests/demo/demo.sh

demo-local:
	@tests/demo/local.sh

style:
	clang-format -i $(shell git ls-files '*.c' '*.h')

clean:
	rm -rf $(B)
