"""Readers of data files, each for one kind; every defect is one `InputError` naming the file."""

from aesparse.data.readers.cifar import (
    PATCHES,
    find_cifar10,
    patches_file,
    read_cifar10,
    read_patches,
)
from aesparse.data.readers.files import Folder, data_folder
from aesparse.data.readers.mnist import MNIST_FILES, find_mnist, read_mnist
from aesparse.data.readers.prepared import prepared_folder, read_prepared
from aesparse.data.readers.users import is_users_file, read_matrix

__all__ = [
    "MNIST_FILES",
    "PATCHES",
    "Folder",
    "data_folder",
    "find_cifar10",
    "find_mnist",
    "is_users_file",
    "patches_file",
    "prepared_folder",
    "read_cifar10",
    "read_matrix",
    "read_mnist",
    "read_patches",
    "read_prepared",
]
