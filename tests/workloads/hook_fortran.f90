! SPDX-License-Identifier: BSD-3-Clause
! hook_fortran - the Fortran entry points: `use mpi` (mpi_x_) and `use mpi_f08` (mpi_x_f08_, ierror
! given and absent). Checks its results; prints OK on rank 0. Any number of ranks from 2.

module old_style
  use mpi
  implicit none
contains
  subroutine check(ok, what)
    logical, intent(in) :: ok
    character(len=*), intent(in) :: what
    integer :: ierr
    if (.not. ok) then
      print *, 'wrong: ', what
      call MPI_Abort(MPI_COMM_WORLD, 1, ierr)
    end if
  end subroutine check

  subroutine run_old_style(me, n)
    integer, intent(in) :: me, n
    integer :: comm, ierr, total, req(2), got, index, st(MPI_STATUS_SIZE), sts(MPI_STATUS_SIZE, 2)
    integer, allocatable :: all(:), counts(:), displs(:)
    logical :: flag
    integer :: i

    allocate(all(n), counts(n), displs(n))
    counts = 1
    displs = [(i, i = 0, n - 1)]
    call MPI_Comm_dup(MPI_COMM_WORLD, comm, ierr)
    call MPI_Comm_set_name(comm, 'fortran', ierr)
    call MPI_Allreduce(me, total, 1, MPI_INTEGER, MPI_SUM, comm, ierr)
    call check(ierr == MPI_SUCCESS .and. total == n * (n - 1) / 2, 'allreduce')
    total = me
    call MPI_Allreduce(MPI_IN_PLACE, total, 1, MPI_INTEGER, MPI_SUM, comm, ierr)
    call check(total == n * (n - 1) / 2, 'allreduce in place')
    all = -1
    all(me + 1) = me
    call MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, all, counts, displs, MPI_INTEGER, comm, ierr)
    call check(all(n) == n - 1, 'allgatherv in place')
    call MPI_Iallreduce(me, total, 1, MPI_INTEGER, MPI_MAX, comm, req(1), ierr)
    call MPI_Wait(req(1), st, ierr)
    call check(total == n - 1 .and. req(1) == MPI_REQUEST_NULL, 'iallreduce')
    call MPI_Ibarrier(comm, req(1), ierr)
    flag = .false.
    do while (.not. flag)
      call MPI_Test(req(1), flag, MPI_STATUS_IGNORE, ierr)
    end do
    call MPI_Irecv(got, 1, MPI_INTEGER, modulo(me - 1, n), 1, comm, req(1), ierr)
    call MPI_Isend(me, 1, MPI_INTEGER, modulo(me + 1, n), 1, comm, req(2), ierr)
    call MPI_Waitany(2, req, index, st, ierr)
    call check(index == 1 .or. index == 2, 'waitany')
    call MPI_Waitall(2, req, sts, ierr)
    call check(got == modulo(me - 1, n), 'message')
    call MPI_Comm_free(comm, ierr)
    call check(comm == MPI_COMM_NULL, 'free')
  end subroutine run_old_style
end module old_style

module new_style
  use mpi_f08
  implicit none
contains
  subroutine run_new_style(me, n, bad)
    integer, intent(in) :: me, n
    integer, intent(out) :: bad
    type(MPI_Comm) :: half
    type(MPI_Request) :: req(2)
    type(MPI_Status) :: st(2)
    integer :: total, got, ierr, members

    bad = 0
    call MPI_Comm_split(MPI_COMM_WORLD, mod(me, 2), me, half)
    call MPI_Comm_size(half, members)
    call MPI_Allreduce(1, total, 1, MPI_INTEGER, MPI_SUM, half)
    if (total /= members) bad = 1
    total = me
    call MPI_Allreduce(MPI_IN_PLACE, total, 1, MPI_INTEGER, MPI_MAX, MPI_COMM_WORLD, ierr)
    if (total /= n - 1 .or. ierr /= MPI_SUCCESS) bad = 2
    call MPI_Irecv(got, 1, MPI_INTEGER, modulo(me - 1, n), 2, MPI_COMM_WORLD, req(1))
    call MPI_Isend(me, 1, MPI_INTEGER, modulo(me + 1, n), 2, MPI_COMM_WORLD, req(2), ierr)
    call MPI_Waitall(2, req, st)
    if (got /= modulo(me - 1, n)) bad = 3
    call MPI_Ibarrier(half, req(1))
    call MPI_Wait(req(1), MPI_STATUS_IGNORE)
    call MPI_Barrier(MPI_COMM_WORLD)
    call MPI_Comm_free(half)
  end subroutine run_new_style
end module new_style

program hook_fortran
  use old_style
  use new_style, only: run_new_style
  implicit none
  integer :: ierr, rank, ranks, bad

  call MPI_Init(ierr)
  call MPI_Comm_rank(MPI_COMM_WORLD, rank, ierr)
  call MPI_Comm_size(MPI_COMM_WORLD, ranks, ierr)
  call run_old_style(rank, ranks)
  call run_new_style(rank, ranks, bad)
  call check(bad == 0, 'mpi_f08')
  call MPI_Finalize(ierr)
  if (rank == 0) print '(A)', 'OK'
end program hook_fortran
