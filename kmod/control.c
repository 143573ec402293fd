// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/sluice-control: every ioctl, mapping and command from user space comes
 * through here, is copied once and validated before anything looks at it.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "sluice.h"

struct control_file {
	struct mutex lock;		/* attaching */
	struct sluice_attachment *att;	/* set once, until release */
};

static struct sluice_attachment *attachment_of(struct file *file)
{
	struct control_file *cf = file->private_data;

	/* Pairs with the attach: what is found is complete. */
	return smp_load_acquire(&cf->att);
}

static int control_open(struct inode *inode, struct file *file)
{
	struct control_file *cf = kzalloc(sizeof(*cf), GFP_KERNEL);

	if (!cf)
		return -ENOMEM;
	mutex_init(&cf->lock);
	file->private_data = cf;
	return 0;
}

/*
 * Runs at every close of a descriptor. Only the attaching process's ends the
 * attachment: a forked child that keeps a copy must not keep a dead daemon's
 * hold alive.
 */
static int control_flush(struct file *file, fl_owner_t id)
{
	struct sluice_attachment *att = attachment_of(file);

	if (att && att->owner == id)
		sluice_attach_end(att);
	return 0;
}

static int control_release(struct inode *inode, struct file *file)
{
	struct control_file *cf = file->private_data;

	if (cf->att) {
		sluice_attach_end(cf->att);
		sluice_attach_put(cf->att);
	}
	mutex_destroy(&cf->lock);
	kfree(cf);
	return 0;
}

static int control_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct sluice_attachment *att = attachment_of(file);

	return att ? sluice_attach_mmap(att, vma) : -ENOLINK;
}

static __poll_t control_poll(struct file *file, struct poll_table_struct *table)
{
	struct sluice_attachment *att = attachment_of(file);

	if (!att)
		return EPOLLERR;
	poll_wait(file, &att->wait, table);
	if (READ_ONCE(att->dead))
		return EPOLLERR | EPOLLHUP;
	return sluice_attach_readable(att) ? EPOLLIN | EPOLLRDNORM : 0;
}

static long control_info(void __user *arg)
{
	struct sluice_info info = {
		.abi_version = SLUICE_ABI_VERSION,
		.block_size = SLUICE_BLOCK_SIZE,
		.max_commit_blocks = SLUICE_MAX_COMMIT_BLOCKS,
		.max_zero_blocks = SLUICE_MAX_ZERO_BLOCKS,
		.max_pool_bytes = (u64)SLUICE_MAX_POOL_BLOCKS * SLUICE_BLOCK_SIZE,
	};

	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static long control_open_device(void __user *arg)
{
	struct sluice_open *o = memdup_user(arg, sizeof(*o));
	int err;

	if (IS_ERR(o))
		return PTR_ERR(o);
	err = sluice_validate_open(o);
	if (err)
		goto out_free;
	err = sluice_device_open(o);
	/* Also on error: the refusal says why. */
	if (copy_to_user(arg, o, sizeof(*o)) && !err) {
		sluice_device_close(o->index);
		err = -EFAULT;
	}
out_free:
	kfree(o);
	return err;
}

static long control_close_device(void __user *arg)
{
	struct sluice_close c;

	if (copy_from_user(&c, arg, sizeof(c)))
		return -EFAULT;
	return sluice_validate_close(&c) ?: sluice_device_close(c.index);
}

static long control_attach(struct file *file, void __user *arg)
{
	struct control_file *cf = file->private_data;
	struct sluice_attachment *att;
	struct sluice_device *dev;
	struct sluice_attach *a;
	int err;

	a = memdup_user(arg, sizeof(*a));
	if (IS_ERR(a))
		return PTR_ERR(a);
	err = sluice_validate_attach(a);
	if (err)
		goto out_free;
	err = -ENODEV;
	dev = sluice_device_get(a->index);
	if (!dev)
		goto out_free;
	mutex_lock(&cf->lock);
	err = -EALREADY;
	if (!cf->att) {
		err = sluice_attach(dev, current->files, a, &att);
		if (!err)
			/* Commits and mappings find it without the lock. */
			smp_store_release(&cf->att, att);
	}
	mutex_unlock(&cf->lock);
	sluice_device_put(dev);
	if (!err && copy_to_user(arg, a, sizeof(*a))) {
		sluice_attach_end(att);
		err = -EFAULT;
	}
out_free:
	kfree(a);
	return err;
}

static long control_detach(struct file *file)
{
	struct sluice_attachment *att = attachment_of(file);

	if (!att)
		return -ENOLINK;
	sluice_attach_end(att);
	/* Local writes end, well or badly. */
	/* Pairs with the last commit's end. */
	return wait_event_interruptible(att->drained, !smp_load_acquire(&att->inflight));
}

static long control_generation(struct file *file, unsigned int cmd, void __user *arg)
{
	struct sluice_attachment *att = attachment_of(file);
	struct sluice_generation g;
	int err;

	if (!att)
		return -ENOLINK;
	if (copy_from_user(&g, arg, sizeof(g)))
		return -EFAULT;
	err = sluice_validate_generation(&g);
	if (err)
		return err;
	if (cmd == SLUICE_IOC_COMPLETE)
		return sluice_device_complete(att->dev, att, g.generation);
	err = sluice_attach_check(att, g.generation);
	if (!err && cmd == SLUICE_IOC_OFFER)
		sluice_park_offer_all(att->dev);
	return err;
}

static long control_stat(void __user *arg)
{
	struct sluice_stat_index s;
	struct sluice_device *dev;
	int err;

	if (copy_from_user(&s.of, arg, sizeof(s.of)))
		return -EFAULT;
	err = sluice_validate_index(&s.of);
	if (err)
		return err;
	dev = sluice_device_get(s.of.index);
	if (!dev)
		return -ENODEV;
	sluice_device_stat(dev, &s.stat);
	sluice_device_put(dev);
	return copy_to_user(arg, &s, sizeof(s)) ? -EFAULT : 0;
}

static long control_set(void __user *arg)
{
	struct sluice_set_index s;
	struct sluice_device *dev;
	int err;

	if (copy_from_user(&s, arg, sizeof(s)))
		return -EFAULT;
	err = sluice_validate_index(&s.of) ?: sluice_validate_set(&s.set);
	if (err)
		return err;
	dev = sluice_device_get(s.of.index);
	if (!dev)
		return -ENODEV;
	err = sluice_device_set(dev, &s.set);
	sluice_device_put(dev);
	return err;
}

static long control_index(unsigned int cmd, void __user *arg)
{
	struct sluice_device *dev;
	struct sluice_index i;
	int err;

	if (copy_from_user(&i, arg, sizeof(i)))
		return -EFAULT;
	err = sluice_validate_index(&i);
	if (err)
		return err;
	dev = sluice_device_get(i.index);
	if (!dev)
		return -ENODEV;
	if (cmd == SLUICE_IOC_FAIL_PARKED) {
		sluice_park_fail_all(dev);
	} else {
		/* A closing device has stopped its workers. */
		mutex_lock(&dev->admin_lock);
		err = dev->closing ? -ENODEV : sluice_flush_now(dev);
		mutex_unlock(&dev->admin_lock);
	}
	sluice_device_put(dev);
	return err;
}

static long control_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case SLUICE_IOC_INFO:
		return control_info(uarg);
	case SLUICE_IOC_OPEN:
		return control_open_device(uarg);
	case SLUICE_IOC_CLOSE:
		return control_close_device(uarg);
	case SLUICE_IOC_ATTACH:
		return control_attach(file, uarg);
	case SLUICE_IOC_DETACH:
		return control_detach(file);
	case SLUICE_IOC_COMPLETE:
	case SLUICE_IOC_OFFER:
	case SLUICE_IOC_HEARTBEAT:
		return control_generation(file, cmd, uarg);
	case SLUICE_IOC_STAT:
		return control_stat(uarg);
	case SLUICE_IOC_SET:
		return control_set(uarg);
	case SLUICE_IOC_SYNC:
	case SLUICE_IOC_FAIL_PARKED:
		return control_index(cmd, uarg);
	default:
		return -ENOTTY;
	}
}

static int control_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct sluice_attachment *att = attachment_of(cmd->file);
	const void *payload;
	struct sluice_commit c;

	if (cmd->cmd_op != SLUICE_CMD_COMMIT)
		return -ENOTTY;
	if (!att)
		return -ENOLINK;
	/* The pool is one process's: a child with a copy of the file has no say. */
	if (att->owner != current->files)
		return -EPERM;
	payload = sluice_uring_payload(cmd, issue_flags);
	if (!payload)
		return -EINVAL;
	/* The SQE is shared with user space: once, and never again. */
	data_race(memcpy(&c, payload, sizeof(c)));
	barrier();
	return sluice_fill_start(att, &c, cmd);
}

static const struct file_operations control_fops = {
	.owner = THIS_MODULE,
	.open = control_open,
	.flush = control_flush,
	.release = control_release,
	.mmap = control_mmap,
	.poll = control_poll,
	.unlocked_ioctl = control_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.uring_cmd = control_uring_cmd,
	.llseek = noop_llseek,
};

static struct miscdevice control_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = SLUICE_CONTROL_NODE,
	.fops = &control_fops,
	.mode = 0600,
};

int sluice_control_init(void)
{
	return misc_register(&control_device);
}

void sluice_control_exit(void)
{
	misc_deregister(&control_device);
}
